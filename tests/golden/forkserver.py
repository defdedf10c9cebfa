"""Start hundreds of daemons quickly: fork them from a process that has imported everything.

A fresh interpreter spends over a second of CPU importing Twisted, Klein and OpenSSL. The server
here imports them and nsqtx once, then forks a child for each request, which runs ``main`` of the
program as its console script does.

The server never has a reactor, since parent and children would share its epoll descriptor; Klein
imports one, so there is a `NoReactor` in its place until a child puts a real one there.

The protocol, over a Unix socket, one connection per daemon: the client sends a line of JSON
``{"module", "arguments"}`` with the descriptor for standard error attached; the server answers
with the line ``<pid>`` and, when the child has ended, ``<exit code>`` (negative: a signal). When
the client goes away first, the child is killed.

Run as a program: ``python -m tests.golden.forkserver <socket path>``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn

__all__ = ["serve"]

# What daemons import, as far as it is there: all of it is in memory before the first fork.
PROGRAMS = (
    "nsqtx.nsqadmin.tap",
    "nsqtx.nsqadmin.service",
    "nsqtx.nsqd.tap",
    "nsqtx.nsqd.service",
    "nsqtx.nsqlookupd.tap",
    "nsqtx.nsqlookupd.service",
    "nsqtx.allinone.service",
    "nsqtx.tools.nsq_stat.service",
    "nsqtx.tools.nsq_tail.service",
    "nsqtx.tools.nsq_to_file.service",
    "nsqtx.tools.nsq_to_http.service",
    "nsqtx.tools.nsq_to_nsq.service",
    "nsqtx.tools.to_nsq.service",
)
REACTOR = "twisted.internet.reactor"


class NoReactor(ModuleType):
    """Stands where the reactor will be; looking at anything of it is an error."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"the reactor's {name!r} was wanted while importing")


def _put_reactor(instead_of: ModuleType) -> None:
    """Install a reactor of this process and give it to every module that holds the other."""
    del sys.modules[REACTOR]
    package = sys.modules["twisted.internet"]
    if getattr(package, "reactor", None) is instead_of:
        del package.reactor
    real = importlib.import_module(REACTOR)
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if value is instead_of:
                setattr(module, name, real)


def _run_child(module: str, arguments: list[str], descriptors: list[int]) -> NoReturn:
    """Become the daemon: what the console script does, then leave without the parent's cleanup.

    ``descriptors``: standard error, and where they are given, input and output.
    """
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A test run in the background has SIGINT ignored, which children would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDWR)
        stderr, stdin, stdout = [*descriptors, null, null][:3]
        os.dup2(stderr, 2)
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.closerange(3, 256)
        gc.enable()
        random.seed()
        _put_reactor(sys.modules[REACTOR])
        sys.argv = [module.split(".")[-2], *arguments]
        try:
            result = importlib.import_module(module).main()
        except SystemExit as leaving:
            result = leaving.code
        if result is None:
            code = 0
        elif isinstance(result, int):
            code = result
        else:
            print(result, file=sys.stderr)
        sys.stderr.flush()
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)


class _Server:
    """Accepts requests, forks, and tells each client how its child ended."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._clients: dict[int, socket.socket] = {}
        self._children: dict[socket.socket, int] = {}
        self._wakeup, woken = socket.socketpair()
        self._wakeup.setblocking(False)
        woken.setblocking(False)
        self._woken = woken
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken.fileno())
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        self._parent = os.getppid()

    def run(self) -> None:
        """Serve until the parent process is gone."""
        while os.getppid() == self._parent:
            for key, _ in self._selector.select(1.0):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wakeup:
                    with contextlib.suppress(BlockingIOError):
                        self._wakeup.recv(4096)
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._client_left(key.fileobj)
            self._reap()
        for pid in self._clients:
            os.kill(pid, signal.SIGKILL)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.settimeout(5.0)
        try:
            data, descriptors, _, _ = socket.recv_fds(client, 1 << 16, 3)
            request = json.loads(data)
        except (OSError, ValueError):
            client.close()
            return
        pid = os.fork()
        if pid == 0:
            _run_child(request["module"], request["arguments"], list(descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        self._clients[pid] = client
        self._children[client] = pid
        self._selector.register(client, selectors.EVENT_READ)
        self._say(client, pid)

    @staticmethod
    def _say(client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            client.sendall(b"%d\n" % number)

    def _client_left(self, client: socket.socket) -> None:
        """The test is done with this daemon, or gone: nothing else is ever sent to us."""
        pid = self._children.pop(client)
        self._selector.unregister(client)
        if pid in self._clients:
            os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._clients:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            client = self._clients.pop(pid)
            self._say(client, os.waitstatus_to_exitcode(status))
            if self._children.pop(client, None) is not None:
                self._selector.unregister(client)
            client.close()


def serve(path: str) -> None:
    """Import everything, say so on standard output, and serve."""
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.insert(0, root)
    nothing = NoReactor(REACTOR)
    sys.modules[REACTOR] = nothing
    for name in PROGRAMS:
        importlib.import_module(name)
    if sys.modules[REACTOR] is not nothing:
        raise SystemExit("something installed a reactor, which must not be shared")
    gc.collect()
    gc.disable()
    gc.freeze()
    server = _Server(path)
    print("ready", flush=True)
    server.run()


if __name__ == "__main__":
    serve(sys.argv[1])
