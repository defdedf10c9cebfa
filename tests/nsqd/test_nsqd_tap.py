"""The command line of nsqd (`nsqtx.nsqd.tap`)."""

from __future__ import annotations

import subprocess
import sys


def test_the_command_line_is_read_before_the_network_is_loaded() -> None:
    """So that --version, and a wrong option, need not wait for Twisted's transports."""
    code = "import sys, nsqtx.nsqd.tap; print('twisted.internet.tcp' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
