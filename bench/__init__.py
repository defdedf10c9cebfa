"""The programs behind the figures in the documentation.

``python -m bench.nsqd_bench`` measures messages per second and the server's CPU per message;
``python -m bench.idle`` what topics cost that nobody uses;
``python -m bench.lookupd_bench`` how long nsqlookupd takes while nodes come and go. They drive real
processes over loopback; clients run in processes of their own and do next to nothing per message,
so that the server is what is measured.
"""
