"""`fastbroker txn`: transactions as people ask about them.

Reading order: txn (the commands together); transaction (what one is: pure) and transactions (what
is asked of coordinators and leaders); listing, describe with page, hanging, abort.

Non-obvious:
- Aborting by id fences the producer, whatever transaction it has open by then: that is the only way
  which the protocol has for somebody who is not the producer.
- A hanging transaction is open in a partition while no coordinator knows it, so no coordinator will
  end it; a marker is only written once all of them have said so.
"""
