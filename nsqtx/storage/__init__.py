"""What outlives the process: a log per topic, its checkpoint, and the list of topics.

A message is written once, to the log of its topic, however many channels there are. What each
channel still has to do is in the topic's checkpoint, and both together are all that recovery needs:
the newest checkpoint, then the log from where that ends.

::

    <data-path>/
        nsqd.dat                                names of topics and channels      metadata.py
        nsqd.topics/                                                                store.py
            <topic>/                            named by an encoding              layout.py
                0006….9f3c01aa.log  ┐
                0006….9f3c01aa.idx  │ segments  and where their batches are       segments.py
                0006….51d0ee72.log  ┘ active                                      log.py
                checkpoint.a .b .c              the newest counts                 slots.py

    segment        batch │ batch │ batch │ …    up to the last good one           segment.py
    batch          header (36 bytes) │ record │ record │ …                        batches.py
    record         a message frame, as consumers get it                           nsqtx.wire.frames

What is promised, by durability:

======== ======================= ==================== ======================================
level    OK is said              kill -9              power cut
======== ======================= ==================== ======================================
memory   when queued in memory   loses what waited    loses what waited
os       after write(2)          loses nothing        loses what the kernel had not written
fsync    after fdatasync         loses nothing        loses nothing
======== ======================= ==================== ======================================

And always: a damaged batch takes no other one with it and never prevents a start; a full disk or a
failing one is an error for who publishes, while what is there can still be read; positions, and so
message ids, never come twice.

Nothing here knows Twisted. The clock and a way to run a sync in a thread are handed in, and all
file work goes through `nsqtx.interfaces.IFiles`, so a test can own the disk.
"""
