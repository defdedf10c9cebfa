"""Lines that the original writes in a short run, and that scripts look for, are ours as well."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.wireclient import WireClient

DATE = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}"
ADDRESS = r"127\.0\.0\.1:\d+"
DURATION = r"(?:\d+(?:\.\d+)?)(?:s|ms|µs|ns)"

#: As recorded. <addr> is any address, <d> a duration, <path> the data path.
RECORDED = """\
INFO: nsqd v1.3.0 (built w/<any>)
INFO: ID: 7
INFO: NSQ: persisting topic/channel metadata to <path>/nsqd.dat
INFO: TCP: listening on <tcp>
INFO: HTTP: listening on <http>
INFO: TCP: new client(<addr>)
INFO: CLIENT(<addr>): desired protocol magic '  V2'
INFO: TOPIC(t): created
INFO: TOPIC(t): new channel(c)
ERROR: [<addr>] - E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight
ERROR: [<addr>] - E_INVALID invalid command FOO
INFO: PROTOCOL(V2): [<addr>] exiting ioloop
INFO: 200 GET /ping (<addr>) <d>
INFO: 200 GET /stats?format=json (<addr>) <d>
INFO: 200 POST /topic/create?topic=t2 (<addr>) <d>
INFO: 404 GET /nope (<addr>) <d>
INFO: 405 POST /ping (<addr>) <d>
INFO: TOPIC(t): deleting channel c
INFO: 200 POST /channel/delete?topic=t&channel=c (<addr>) <d>
INFO: TOPIC(t2): deleting
INFO: 200 POST /topic/delete?topic=t2 (<addr>) <d>
INFO: TCP: closing <tcp>
INFO: HTTP: closing <http>
INFO: NSQ: persisting topic/channel metadata to <path>/nsqd.dat
INFO: NSQ: closing topics
INFO: NSQ: bye""".splitlines()


def test_the_lines_of_a_run(tmp_path: Path) -> None:
    """Same prefix, level and text, in this order; publishing writes none."""
    with Daemon(tmp_path, "--node-id=7") as nsqd:
        with WireClient(nsqd.tcp) as client:
            client.subscribe("t", "c")
            client.send(b"FIN 0123456789abcdef\nFOO\n")
            client.read()
            client.read()
            client.expect_closed()
        nsqd.wait_for_log("exiting ioloop")
        for path in ("/ping", "/stats?format=json"):
            assert get(nsqd.http, path)[0] == 200
        assert post(nsqd.http, "/topic/create?topic=t2")[0] == 200
        assert post(nsqd.http, "/pub?topic=t", b"x")[0] == 200
        assert get(nsqd.http, "/nope")[0] == 404
        assert post(nsqd.http, "/ping")[0] == 405
        assert post(nsqd.http, "/channel/delete?topic=t&channel=c")[0] == 200
        assert post(nsqd.http, "/topic/delete?topic=t2")[0] == 200
        assert nsqd.stop() == 0
        lines = nsqd.log.splitlines()
    known = {
        "<any>": ".+",
        "<addr>": ADDRESS,
        "<d>": DURATION,
        "<path>": re.escape(str(tmp_path)),
        "<tcp>": re.escape(f"127.0.0.1:{nsqd.tcp_port}"),
        "<http>": re.escape(f"127.0.0.1:{nsqd.http_port}"),
    }
    left = iter(lines)
    for recorded in RECORDED:
        pattern = re.escape(recorded)
        for placeholder, meaning in known.items():
            pattern = pattern.replace(re.escape(placeholder), meaning)
        whole = re.compile(rf"\[nsqd\] {DATE} {pattern}")
        assert any(whole.fullmatch(line) for line in left), f"{recorded}\n{nsqd.log}"
    assert not [line for line in lines if "/pub" in line]
