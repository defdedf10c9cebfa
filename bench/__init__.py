"""The programs behind the figures in the documentation.

``bench/run`` (``python -m bench.run``) measures messages per second, latency and the server's CPU
per message, also of another nsqd; ``python -m bench.client_bench`` the client library;
``python -m bench.tools_bench`` to_nsq and nsq_to_file; ``python -m bench.lookupd_bench`` how long
nsqlookupd takes while nodes come and go. They drive real processes over loopback; clients run in
processes of their own and do next to nothing per message, so that the server is what is measured.
"""
