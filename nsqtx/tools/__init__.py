"""The programs that people run beside NSQ, on the client library.

Each tool is a package: `options` declares its flags, `command` (`tap` where twistd can run it too)
is its entry, the rest is what it does. What tools have in common lies beside them: `tool` is the
command line, `lines` the log on standard error.
"""
