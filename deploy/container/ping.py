"""Asks the daemon of this container how it is: exit code 0 if its /ping says OK, else 1.

NSQTX_PING is the URL, ``http://127.0.0.1:4151/ping`` unless given: nsqd's.
"""

import os
import sys
import urllib.request

URL = os.environ.get("NSQTX_PING", "http://127.0.0.1:4151/ping")

try:
    with urllib.request.urlopen(URL, timeout=4) as answer:  # noqa: S310  # the operator says which
        sys.stdout.write(answer.read(100).decode("utf-8", "replace"))
except OSError as error:
    sys.exit(f"{URL}: {error}")
