"""The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

Members join, the coordinator picks a leader and a protocol both of which everyone can live with,
the leader assigns, everyone learns its part by SyncGroup. `group.py` has the states and what moves
between them; `join.py`, `sync.py` and `membership.py` are the rules of the four requests;
`record.py` is what is kept of a group.
"""
