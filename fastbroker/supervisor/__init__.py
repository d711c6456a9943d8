"""The supervisor: starts the controller and the workers, watches them, starts them again.

    supervisor.py   run(): from the configuration to the exit status
    child.py        one forked process: how it is started, named and ended
    oversight.py    what systemd hears: status and watchdog; watch.py: who has not answered
    reload.py       SIGHUP: the configuration read again
    log_lines.py    where log lines go: a terminal, the journal
    systemd.py      the messages to systemd

Children are forked from a parent that has imported what they share and has neither loop nor thread:
they start in milliseconds and share the parent's pages. What only the controller needs it imports
itself, while the parent imports what only workers need. Each holds the reading end of a pipe, the
lifeline; when the supervisor is gone, however that came, they read its end and stop.

Invariants
- Nothing here speaks to a client or knows what a worker does.
- Workers stop before the controller, so that they can be taken out of the cluster.
- The gateway, which serves HTTP and no client, is not waited for.
- A child that dies is started again, at once the first time, then after growing pauses; a broker
  of which one has never served ends after ten tries.
- What systemd does not ask for is not done: no beats, no looks at them, without its socket.

Non-obvious
- A configuration that cannot work (a port in use, a directory of another node) ends the first start
  with exit status 2 instead of being tried for ever.
- A hung child is ended by the supervisor after half of WatchdogSec, so that the others go on
  serving; systemd's own watchdog, which ends all, is for a hung supervisor.
- Children may take long before their first beat, reading logs: until then nobody calls them hung.
"""
