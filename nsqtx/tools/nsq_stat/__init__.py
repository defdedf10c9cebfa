"""nsq_stat: how a channel is doing, again and again (apps section 6).

`poller` asks every nsqd of the topic, `figures` adds up and divides, `columns` writes lines like
the original's, `live` draws a table on a terminal.
"""
