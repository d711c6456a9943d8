"""From a decoded request to its response: one file per group of APIs.

    registry.py     @handles: which function answers which API, in which versions
    dispatch.py     a frame in, an answer out; what is not served
    context.py      what a handler gets to see
    served.py       all of them

A handler is a function (ctx, request) -> response | Deferred | None. Its docstring says how it
behaves, then what its versions change.

Invariants
- Answers of one connection keep the order of its requests. Produce and WriteTxnMarkers are
  two-stage: the next request is handled before this one is answered; all others hold their
  connection until they are answered. A produce that has to wait before it appends holds its
  connection until then (Holding).
- An error belongs to the smallest thing it is about: partition, topic, request.
- A handler never waits: it gives a Deferred, and whoever completes it runs on the same loop.
- What a client asks for is bounded before it is made: sizes, counts, waits.

Non-obvious
- Bytes of a request are views of its frame: copy what is kept.
- Metadata and FindCoordinator wait a moment for a topic that they have just had created, where
  Kafka sends the client away to ask again.

Not done: ACLs, quotas, throttling.
"""
