"""Power cuts of a whole broker: what was acknowledged is there, whatever the disk had in its cache.

A real broker runs on ext4 on a loop device on a file that FUSE serves: every write and every flush
of the file system is recorded. Real producers load it, and note what they were told together with
how far the record was then. From the record any disk can be made that a power cut may leave:
everything before the last flush, and of later writes an arbitrary part, torn at 512 bytes. Each is
mounted, its logs are opened as at a start, or a broker is started on it, and everything that was
promised is looked for.

    fuse.py        disks as files, served over /dev/fuse
    loop.py        ext4 on them
    block_log.py   the record, and the disks that it makes
    load.py        the clients; journal.py: what they note
    logs.py        reading an image by its files; clients.py: by a broker that is started on it
    promises.py    what has to be there
    run.py         one run, in name spaces of its own
    planted/       brokers with bugs, which the runs find

Non-obvious:
- An acknowledgement counts for a cut only if it was seen before it: the record's position is read
  after the answer.
- Loop devices hand over one request after the other, so a flush in the record covers all before it.
- ext4 orders its metadata: a missing sync of a directory does no harm there. The simulated disk of
  tests/sim/disk.py finds those (tests/storage/test_power_cuts.py).
"""
