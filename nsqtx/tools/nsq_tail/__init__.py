"""nsq_tail: shows the messages of topics on standard output (apps section 5)."""
