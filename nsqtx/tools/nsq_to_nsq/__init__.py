"""nsq_to_nsq: publishes messages again, to other topics and nsqd (apps section 4).

`selection` decides by the JSON of a message whether it goes on, `destination` is one nsqd,
`forwarding` what becomes of a message.
"""
