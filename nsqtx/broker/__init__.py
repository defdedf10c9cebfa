"""The heart of nsqd: topics, channels, and the life of a message. No sockets, no files.

A topic is a log, a channel is a cursor over it. A message is written once, to its topic's log,
whatever the number of channels; the same ``bytes`` object then waits in the window of every
channel that has caught up, goes out to one consumer of each, and is gone when all have said FIN.

::

    PUB ─▶ Topic.publish ─▶ log.append            (then the publisher may be told OK)
                │
                │  no channel, paused, not started: Topic.held keeps it; Topic.release hands it on
                ▼
         Channel.receive ─▶ Backlog               (the window, or only a range of the log)
                                │
        RequeuedMessages ──┐    │                 they take turns
                           ▼    ▼
                        Channel.pump ─▶ Subscription.deliver ─▶ the consumer
                                              │ in flight
             ┌────────────────────────────────┼──────────────────┬───────────────┐
            FIN                              REQ 0           REQ n, n > 0     deadline
             │                                │                  │               │
          finished                    RequeuedMessages   DeferredMessages   RequeuedMessages
                                                                 │ due
                                                          RequeuedMessages

With a limit of deliveries, what would go to RequeuedMessages once too often goes to DeadLetters,
and from there to another topic (`nsqtx.broker.dead_letters`).

`Broker.scan` looks after deadlines and due times, `Broker.tick` after checkpoints: the cursor and
the unfinished messages of each channel. Recovery is the newest checkpoint, and then the log after
it, replayed through the same code as a publish.

The law that the tests hold every history to: what a channel received is what is ready, in flight,
deferred, finished or a dead letter.
"""
