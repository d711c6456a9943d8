"""What is measured, and how it is told: families, what a process says of them, Prometheus' text.

    catalogue.py   every family: name, type, help, labels; begin here
    family.py      one family
    stages.py      where the time of a request goes
    labels.py      label pairs as text
    samples.py     what one process says, as it goes to the gateway
    document.py    the catalogue as a page to read
    page.py        what all processes say, as one page of Prometheus' text format 0.0.4

Invariants
- Nothing is served that is not in the catalogue.
- Who counts has no idea of names: on a request's way there are plain numbers in C (_c.meter), put
  into words when somebody asks.
- The number of values of a label is bounded; what is beyond is summed under OTHER, and counted.

Non-obvious
- A counter is never a sum over processes: one of them starting anew would look like a step.
- No topic can be called OTHER: a topic's name has no parentheses.
"""
