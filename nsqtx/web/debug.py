"""``/debug``: a look into the running process (nsqd-http section 11).

The pages have the names of Go's; what they show is Python's, as text. Nothing of NSQ reads them.
"""

from __future__ import annotations

import ctypes
import gc
import io
import pstats
import re
import sys
import threading
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable
from cProfile import Profile
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from nsqtx.web.api import answer_text, plain, unlogged
from nsqtx.web.args import MalformedQuery, parse_query
from nsqtx.web.site import ApiRequest

__all__ = ["add_debug_routes", "add_pprof_routes"]

#: Seconds that ``profile`` runs for when it is not told, and at most.
PROFILE_SECONDS = 30
MAX_PROFILE_SECONDS = 300
#: Lines of a list that are worth reading.
TOP = 50

_PAGES = {
    "cmdline": "the command line, separated by NUL",
    "profile": "where the time goes: runs for ?seconds=30, then shows it",
    "heap": "what is in memory; ?gc=1 collects garbage first",
    "goroutine": "the stack of every thread, and the calls that wait for their time",
    "threadcreate": "threads",
    "block": "nothing: Python counts no waiting for locks",
    "symbol": "nothing: stacks have names already",
}


def add_pprof_routes(app: Klein, index: str = "/debug/pprof/") -> None:
    """Add ``/debug/pprof/…`` to an app, with a list of these pages at ``index``.

    The object that the app is bound to has a ``clock``, an `IReactorTime`.
    """

    def page(name: str, *methods: str) -> Callable[[Any], Any]:
        return app.route(f"/debug/pprof/{name}", methods=list(methods), endpoint=f"debug_{name}")

    @app.route(index, methods=["GET"], endpoint="debug_")
    @unlogged
    def pages(_api: Any, request: ApiRequest) -> bytes:
        rows = "".join(
            f'<li><a href="/debug/pprof/{n}">{n}</a>: {text}\n' for n, text in _PAGES.items()
        )
        body = f"<!DOCTYPE html><title>/debug/pprof/</title>\n<ul>\n{rows}</ul>\n".encode()
        request.set_header(b"Content-Type", b"text/html; charset=utf-8")
        request.set_header(b"Content-Length", b"%d" % len(body))
        return body

    @page("cmdline", "GET")
    @unlogged
    @plain
    def cmdline(_api: Any, _request: ApiRequest) -> str:
        return "\0".join(sys.orig_argv)

    @page("symbol", "GET", "POST")
    @unlogged
    @plain
    def symbol(_api: Any, _request: ApiRequest) -> str:
        return "num_symbols: 1\n"

    @page("profile", "GET")
    @unlogged
    def profile(api: Any, request: ApiRequest) -> Any:
        seconds = _args(request).get("seconds", "")
        wanted = int(seconds) if re.fullmatch("[0-9]{1,9}", seconds) else 0
        return _profile(request, api.clock, min(wanted or PROFILE_SECONDS, MAX_PROFILE_SECONDS))

    @page("heap", "GET")
    @unlogged
    @plain
    def heap(_api: Any, request: ApiRequest) -> str:
        if _args(request).get("gc", "0") not in ("", "0"):
            gc.collect()
        return _heap()

    @page("goroutine", "GET")
    @unlogged
    @plain
    def goroutine(api: Any, _request: ApiRequest) -> str:
        return _stacks() + _delayed_calls(api.clock)

    @page("threadcreate", "GET")
    @unlogged
    @plain
    def threadcreate(_api: Any, _request: ApiRequest) -> str:
        return _threads()

    @page("block", "GET")
    @unlogged
    @plain
    def block(_api: Any, _request: ApiRequest) -> str:
        return "no block profile: Python counts no waiting for locks\n"


def add_debug_routes(app: Klein) -> None:
    """Add ``/debug/pprof/…``, ``setblockrate`` and ``freememory`` to an app, as nsqd has them."""
    add_pprof_routes(app)

    @app.route("/debug/setblockrate", methods=["PUT"])
    def setblockrate(_api: Any, request: ApiRequest) -> bytes:
        """There is nothing to set; a rate that is no number is refused all the same."""
        rate = _args(request).get("rate", "")
        if re.fullmatch("[+-]?[0-9]+", rate):
            return answer_text(request, "")
        request.setResponseCode(400)
        return answer_text(request, f'invalid block rate : parsing "{rate}": invalid syntax')

    @app.route("/debug/freememory", methods=["POST"])
    @plain
    def freememory(_api: Any, _request: ApiRequest) -> str:
        _free_memory()
        return ""


def _args(request: ApiRequest) -> dict[str, str]:
    """The query; these pages pass over a malformed one."""
    try:
        return parse_query(request.query)
    except MalformedQuery:
        return {}


#: The profile that is running: a thread can have one.
_running: Profile | None = None


def _stop_profile(profiler: Profile) -> None:
    global _running
    profiler.disable()
    _running = None


def _profile(request: ApiRequest, clock: IReactorTime, seconds: int) -> Any:
    """Profile the reactor's thread for a while, then answer. A client that leaves ends it."""
    global _running
    profiler = Profile()
    try:
        if _running is not None:
            raise ValueError("it is in use already")
        profiler.enable()
    except ValueError as error:  # Python 3.12 and later also refuse beside another tool
        request.setResponseCode(500)
        return answer_text(request, f"Could not enable CPU profiling: {error}\n")
    _running = profiler

    def stopped(_result: Deferred[bytes]) -> None:
        _stop_profile(profiler)
        call.cancel()

    def finished() -> None:
        _stop_profile(profiler)
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("cumulative").print_stats(TOP)
        result.callback(answer_text(request, text.getvalue()))

    result: Deferred[bytes] = Deferred(stopped)
    call = clock.callLater(seconds, finished)
    return result


def _heap() -> str:
    kinds = Counter(type(each).__qualname__ for each in gc.get_objects())
    lines = [f"objects the garbage collector knows: {kinds.total()}"]
    lines += [f"{count:10d} {kind}" for kind, count in kinds.most_common(TOP)]
    for number, generation in enumerate(gc.get_stats()):
        lines.append(f"generation {number}: {generation}")
    if tracemalloc.is_tracing():
        lines.append("allocations by line:")
        found = tracemalloc.take_snapshot().statistics("lineno")[:TOP]
        lines += [f"{each.size:10d} {each.count:8d} {each.traceback}" for each in found]
    else:
        lines.append("start Python with -X tracemalloc to see who allocates")
    return "\n".join(lines) + "\n"


def _threads() -> str:
    lines = [f"threads: {threading.active_count()}"]
    lines += [f"{each.ident} {each.name}" for each in threading.enumerate()]
    return "\n".join(lines) + "\n"


def _stacks() -> str:
    names = {each.ident: each.name for each in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"thread {ident} {names.get(ident, '')}\n{stack}\n")
    return "".join(parts)


def _delayed_calls(clock: IReactorTime) -> str:
    calls = sorted(clock.getDelayedCalls(), key=lambda call: call.getTime())
    now = clock.seconds()
    lines = [f"delayed calls: {len(calls)}"]
    lines += [f"in {call.getTime() - now:.3f} s: {call}" for call in calls[:TOP]]
    return "\n".join(lines) + "\n"


def _free_memory() -> None:
    """Collect garbage, and give free memory back to the system where the C library can."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # not glibc
