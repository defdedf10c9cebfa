"""nsq: nsqlookupd, nsqd and nsqadmin in one process, to try NSQ or to develop with it.

Each is the service that its own program runs. They talk to each other over the network, as they do
when they are apart, so this is the one part that may know them all, and it adds nothing to them.
"""
