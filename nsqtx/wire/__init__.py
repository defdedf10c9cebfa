"""What the bytes are.

Everything here turns bytes into values or values into bytes. Nothing here knows a socket, a file
or a clock, so all of it is tested by bytes in, values out.

What a client sends
    Four bytes of magic, then commands. A command is a line of words, and after some of them
    follows a body with its size in front::

        ␠␠V2                                        magic, once
        SUB topic channel\\n                         a line is all there is to most commands
        PUB topic\\n  ┌──────┬──────────┐            PUB, DPUB, IDENTIFY and AUTH have a body
                     │ size │ body     │
                     └──────┴──────────┘
        MPUB topic\\n ┌──────┬───────┬──────┬──────┬──────┬──────┬─
                     │ size │ count │ size │ body │ size │ body │ …
                     └──────┴───────┴──────┴──────┴──────┴──────┴─

    Sizes and counts are signed, 32 bits, big-endian. `nsqtx.wire.commands` takes a read, and gives
    what was in it as a list of tuples: the read is the unit of work.

What nsqd sends
    Frames: ``size type data``. Type 0 is a response, 1 an error, 2 a message. `nsqtx.wire.frames`
    makes them.

A message at rest
    A *record*: the very frame that will go to a consumer, as ``bytes``. It is the same in a queue,
    in a log and on the wire, and no object wraps it::

        0      4      8             16        18              34
        ┌──────┬──────┬─────────────┬─────────┬───────────────┬─────────────
        │ size │ 2    │ timestamp   │attempts │ id            │ body
        └──────┴──────┴─────────────┴─────────┴───────────────┴─────────────
         u32    u32    i64, ns       u16       16 hex digits   1 byte or more

    ``size`` counts everything after itself. The id (`nsqtx.wire.guid`) leads back to the position
    of the message in its topic's log. Only ``attempts`` ever changes.

The rest: `events` (what the parser gives), `publishing` and `mpub` (lines and bodies of PUB, DPUB
and MPUB), `names` (what topics and channels may be called), `errors` (what is refused, and what
becomes of the connection), `numbers` (parameters), `limits`, `gojson` (JSON as Go reads and writes
it), `identify` (the negotiation), `codecs` (snappy and deflate), `runs` (how equal pieces are cut
at the speed of C), `kept` (reads that wait for more).
"""
