"""nsqlookupd: the directory of which nsqd has which topic and channel.

`registry` is what is known, pure; `session` what a connection of an nsqd does to it, `protocol` its
transport; `answers` and `http` are how others ask, `waiters` how they wait for news; `service`
puts it together.
"""
