"""A picture of nsq_stat on a terminal.

    python doc/nsq_stat_picture.py doc/pictures/nsq_stat.svg

Runs it on a terminal of its own, on a small cluster with traffic, and draws what it shows in the
end.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.text import Text

from tests.support.livecluster import LiveCluster

TOOL = "import sys; from nsqtx.tools.nsq_stat.command import main; sys.exit(main())"
COLUMNS, LINES = 80, 12
#: What moves the cursor; the rest is colours.
MOVES = re.compile(r"\x1b\[[0-9;?]*[A-LHJKhl]|\r")


def shown(lookupd: str) -> str:
    """What nsq_stat leaves on a terminal after some polls."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    flags = [f"--lookupd-http-address={lookupd}", "--topic=orders", "--channel=billing"]
    command = [sys.executable, "-c", TOOL, *flags, "--interval=2s", "--count=3"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    written = b""
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment):
        os.close(its)
        try:
            while data := os.read(ours, 65536):
                written += data
        except OSError:
            # The other end is closed.
            pass
    os.close(ours)
    # Each drawing begins by going back to the first line of the one before.
    last = re.split(r"(?:\x1b\[1A\x1b\[2K)+", written.decode())[-1]
    return MOVES.sub("", last).rstrip("\n")


def main() -> None:
    """Draw it."""
    with (
        tempfile.TemporaryDirectory() as data,
        LiveCluster(Path(data), "--poll-interval=1s") as cluster,
    ):
        text = shown(f"127.0.0.1:{cluster.lookupd.http_port}")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    picture = console.export_svg(title="nsq_stat --topic=orders --channel=billing")
    # Any font of equal widths will do; rich would have it loaded from somewhere.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    Path(sys.argv[1]).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
