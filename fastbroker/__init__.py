"""fastbroker: a Kafka broker for Linux. Floors, lowest first; a package imports only lower ones.

    0  errors, model, uuids,     words and numbers
       log_rate                  few lines in the log, whatever clients do
       shared                    memory that the supervisor shares with the processes it starts
    1  config, _c                Kafka's configuration keys; bytes at C speed (bodies in cext/)
    2  protocol, records,        codec of messages and record batches, no I/O;
       metrics                   what is measured, and its text
    3  storage, raft             the log on disk; the metadata quorum as a state machine
    4  metadata, partition,      cluster image and controller rules; leader, high watermark, waits;
       coordination              what coordinators share: shards of an internal topic
    5  group, txn, security      coordinators and access rules
    6  handlers, net             answers to decoded requests; frames and sockets
    7  worker, controller,       one process each: brokers, the metadata log,
       gateway                   HTTP for the host
    8  supervisor                starts and watches processes
    9  cli, __main__             arguments to calls
"""

__version__ = "0.1.0"
