"""Replaying one recorded session against daemons of ours.

`Replay` starts the session's daemons and stubs, does its steps one after another and raises
`Mismatch`, with the step and the daemons' logs in its text, at the first difference. The format
is described in ``data/README.md``.
"""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.golden.certificates import client_context
from tests.golden.connection import Connection
from tests.golden.layers import DeflateLayer, LayerError, SnappyLayer
from tests.golden.matching import as_bytes, match_frames, match_json_text
from tests.golden.placeholders import Bindings, Mismatch
from tests.golden.rawhttp import RECORDED_HEADERS, Request, Response, exchange
from tests.golden.stubs import StubServer
from tests.support.daemon import Daemon, DaemonError, Launch

__all__ = ["Replay", "replay"]

# "Nothing more comes" is watched for this long.
QUIET_SECONDS = 0.1

# Keys of a step that expect something or explain it; the others say what to do.
# fmt: off
STEP_KEYS = frozenset(
    {
        "at_once", "body", "body_any", "chunked", "close", "closed", "conn", "exit_code",
        "expect", "half_close", "handshake", "headers", "http", "json", "make_datapath",
        "note", "open", "proto", "remove_datapath", "response_version", "send",
        "send_slow", "send_wire", "signal", "sleep_ms", "status", "stop", "tls", "to",
        "unordered", "unordered_keys", "upgrade", "wait_ms", "wire_received", "wire_sent",
    }
)
# fmt: on


class Replay:
    """One session being replayed.

    :param session: as recorded.
    :param work: an empty directory of this session's own.
    :param certificates: gives the directory with certificates, making them when first asked.
    :param launch: how daemons are started.
    """

    def __init__(
        self,
        session: dict[str, Any],
        work: Path,
        certificates: Callable[[], Path],
        launch: Launch,
    ) -> None:
        self._session = session
        self._work = work
        self._certificates = certificates
        self._launch = launch
        self._daemons: dict[str, Daemon] = {}
        self._stubs: dict[str, StubServer] = {}
        self._connections: dict[str, Connection] = {}
        self._bindings = Bindings(
            {"<host>": socket.gethostname(), "<datapath>": str(work / "data")}
        )
        self._closing = ExitStack()

    def run(self) -> None:
        """Do all of it.

        :raises Mismatch: something differs from the recording.
        """
        with self._closing:
            self._start()
            steps = self._session["steps"]
            for number, step in enumerate(steps):
                following = steps[number + 1] if number + 1 < len(steps) else {}
                try:
                    self._do(step, before_upgrade="upgrade" in following)
                except (Mismatch, LayerError, DaemonError, OSError) as error:
                    logs = "".join(f"\n--- {n}\n{d.log}" for n, d in self._daemons.items())
                    raise Mismatch(f"step {number} {_brief(step)}: {error}{logs}") from error
            for name, stub in self._session.get("stubs", {}).items():
                try:
                    self._stubs[name].check(stub["requests"], self._bindings)
                except Mismatch as error:
                    raise Mismatch(f"requests to stub {name}: {error}") from error

    # -- start ---------------------------------------------------------------------------------

    def _start(self) -> None:
        known = self._bindings.known
        text = str(self._session)
        if "<certs>" in text or "tls" in text or "https" in text:
            known["<certs>"] = str(self._certificates())
        for name, stub in self._session.get("stubs", {}).items():
            server = StubServer(stub["responses"])
            self._closing.callback(server.close)
            self._stubs[name] = server
            known[f"<{name}>"] = server.address
        for wanted in self._session["daemons"]:
            self._start_daemon(wanted)

    def _start_daemon(self, wanted: dict[str, Any]) -> None:
        name, program = wanted["name"], wanted["program"]
        flags = [self._bindings.substitute(flag) for flag in wanted["flags"]]
        path = self._work / "data" / name if program == "nsqd" else None
        try:
            daemon = Daemon(path, *flags, program=program, launch=self._launch)
        except DaemonError as error:
            raise Mismatch(f"daemon {name} {flags}: {error}") from error
        self._closing.enter_context(daemon)
        self._daemons[name] = daemon
        for kind in ("tcp", "http", "https"):
            port = getattr(daemon, f"{kind}_port")
            self._bindings.known[f"<{name}.{kind}>"] = f"127.0.0.1:{port}"
            self._bindings.known[f"<{name}.{kind}_port>"] = str(port)
        self._bindings.known[f"<{name}.key>"] = f"127_0_0_1_{daemon.http_port}"

    def _daemon(self, name: str | None) -> Daemon:
        return self._daemons[name or self._session["daemons"][0]["name"]]

    # -- steps ---------------------------------------------------------------------------------

    def _do(self, step: dict[str, Any], before_upgrade: bool) -> None:
        unknown = step.keys() - STEP_KEYS
        if unknown:
            raise Mismatch(f"the replayer does not know {sorted(unknown)}")
        if "http" in step:
            self._do_http(step)
        elif "open" in step or "conn" in step:
            self._do_connection(step, before_upgrade)
        elif "stop" in step:
            self._do_stop(step)
        elif "remove_datapath" in step:
            shutil.rmtree(self._work / "data" / step["remove_datapath"])
        elif "make_datapath" in step:
            (self._work / "data" / step["make_datapath"]).mkdir(parents=True)
        elif "sleep_ms" in step:
            time.sleep(step["sleep_ms"] / 1000)
        else:
            raise Mismatch("the replayer does not know this step")

    def _do_stop(self, step: dict[str, Any]) -> None:
        daemon = self._daemon(step["stop"])
        number = signal.Signals[f"SIG{step.get('signal', 'TERM')}"]
        code = daemon.stop(number)
        if code != step.get("exit_code", code):
            raise Mismatch(f"expected exit code {step['exit_code']}, got {code}")

    # -- connections ---------------------------------------------------------------------------

    def _open(self, step: dict[str, Any]) -> Connection:
        name = step["open"]
        typed = step.get("proto", self._session.get("proto", "V2")) == "V2"
        connection = Connection(self._daemon(step.get("to")).tcp, typed)
        self._closing.callback(connection.close)
        self._connections[name] = connection
        self._bindings.known[f"<peer:{name}>"] = connection.local_address
        return connection

    def _do_connection(self, step: dict[str, Any], before_upgrade: bool) -> None:
        connection = self._open(step) if "open" in step else self._connections[step["conn"]]
        if "upgrade" in step and not self._upgrade(connection, step):
            return
        if "send" in step:
            self._send(connection, step)
        if "send_slow" in step:
            for byte in self._sent_bytes(step["send_slow"]):
                connection.send(bytes((byte,)))
                time.sleep(0.002)
        if "send_wire" in step:
            connection.send_below(bytes.fromhex(step["send_wire"]))
        if step.get("half_close"):
            connection.half_close()
        if step.get("close"):
            connection.close()
            return
        self._receive(connection, step, before_upgrade)

    def _sent_bytes(self, value: str | list[Any]) -> bytes:
        if isinstance(value, str):
            value = self._bindings.substitute(value)
        return as_bytes(value)

    def _send(self, connection: Connection, step: dict[str, Any]) -> None:
        # What Go's snappy encoder wrote is sent as it was, since every decoder must take it. Its
        # deflate stream is of one piece, and ids inside vary, so that is encoded anew.
        if "wire_sent" in step and connection.compression == "snappy":
            connection.send_below(bytes.fromhex(step["wire_sent"]))
            return
        connection.send(self._sent_bytes(step["send"]))

    def _upgrade(self, connection: Connection, step: dict[str, Any]) -> bool:
        kind = step["upgrade"]
        if kind == "snappy":
            connection.add_layer(SnappyLayer())
            connection.compression = kind
        elif kind == "deflate":
            connection.add_layer(DeflateLayer())
            connection.compression = kind
        elif kind == "tls":
            context = client_context(self._certificates(), step["tls"])
            succeeded = connection.start_tls(context)
            if succeeded != (step["handshake"] == "ok"):
                raise Mismatch(f"the handshake should be {step['handshake']!r}, but is not")
            return succeeded
        else:
            raise Mismatch(f"the replayer does not know the upgrade {kind!r}")
        return True

    def _receive(self, connection: Connection, step: dict[str, Any], before_upgrade: bool) -> None:
        expected = step["expect"]
        if "wait_ms" in step:
            frames = connection.collect_frames(step["wait_ms"] / 1000)
        else:
            frames = connection.read_frames(len(expected))
        match_frames(expected, frames, self._bindings, any_order=step.get("unordered", False))
        if step["closed"]:
            connection.expect_end()
        elif before_upgrade:
            pass  # What has come already is the next step's: it belongs to the layer put on then.
        elif "wait_ms" in step or step.get("at_once"):
            connection.expect_silence(0)
        else:
            connection.expect_silence(QUIET_SECONDS)

    # -- HTTP ----------------------------------------------------------------------------------

    def _do_http(self, step: dict[str, Any]) -> None:
        http = step["http"]
        daemon = self._daemon(http.get("to"))
        secure = http.get("scheme") == "https"
        context: ssl.SSLContext | None = None
        if secure:
            context = client_context(self._certificates(), {"client_cert": http.get("client_cert")})
        to_https = secure or http.get("port") == "https"
        port = daemon.https_port if to_https else daemon.http_port
        request = Request(
            http["method"],
            self._bindings.substitute(http["target"]),
            {n: self._bindings.substitute(v) for n, v in http.get("headers", {}).items()},
            self._sent_bytes(http["body"]) if "body" in http else None,
            http.get("chunked", False),
            http.get("version", "HTTP/1.1"),
        )
        self._match_response(step, exchange(("127.0.0.1", port), request, context))

    def _match_response(self, step: dict[str, Any], response: Response) -> None:
        seen = f"{response.version} {response.status} {response.headers} {response.body[:300]!r}"
        if response.status != step["status"]:
            raise Mismatch(f"expected status {step['status']}, got {seen}")
        if response.version != step.get("response_version", "HTTP/1.1"):
            raise Mismatch(f"expected version {step.get('response_version')}, got {seen}")
        for name in RECORDED_HEADERS:
            value = response.headers.get(name.lower())
            wanted = step["headers"].get(name)
            if wanted is None or value is None:
                if wanted != value:
                    raise Mismatch(f"header {name}: expected {wanted!r}, got {value!r} in {seen}")
            else:
                self._bindings.match_text(wanted, value)
        body = response.plain_body()
        if "json" in step:
            match_json_text(step["json"], body, self._bindings, step.get("unordered_keys", ()))
        elif not step.get("body_any") and step["body"] != "<html>":
            self._bindings.match_text(step["body"], body.decode("latin-1"))


def _brief(step: dict[str, Any]) -> str:
    """What a step does, short enough for a message."""
    doing = {k: v for k, v in step.items() if k not in ("expect", "json", "headers", "body")}
    text = str(doing)
    return text if len(text) < 300 else text[:300] + "..."


def replay(
    session: dict[str, Any], work: Path, certificates: Callable[[], Path], launch: Launch
) -> None:
    """Replay one session; `Mismatch` at the first difference."""
    Replay(session, work, certificates, launch).run()
