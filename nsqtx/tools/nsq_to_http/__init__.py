"""nsq_to_http: makes an HTTP request of each message (apps section 3).

`publisher` makes requests, `forwarding` decides where they go and what becomes of messages.
"""
