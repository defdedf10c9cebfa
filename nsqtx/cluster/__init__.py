"""Many daemons as one: asking nsqd and nsqlookupd over HTTP.

`nsqtx.cluster.http` makes requests the way NSQ's programs do: with limits on time and size, and
following a daemon that says it only speaks HTTPS.
"""
