"""Programs of one client each, all with the same commands and events, a line each.

    stdin:   open GROUP TOPIC PROTOCOL SESSION_MS | close
    stdout:  {"event": "subscribe" | "assigned" | "record" | "closing" | "closed", "at": ns, ...}

    open     makes a consumer, connects it where the client lets one do that, says "subscribe" and
             subscribes, from the beginning of the topic
    assigned carries "partitions", all that the member owns now
    record   carries "partition"; only the first of each partition since an "assigned" is told
    close    leaves the group: "closing", then "closed"

`at` is CLOCK_MONOTONIC. PROTOCOL is classic or consumer (KIP-848).
"""
