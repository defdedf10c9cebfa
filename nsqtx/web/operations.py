"""What several daemons answer, described for `nsqtx.web.openapi`."""

from __future__ import annotations

from nsqtx.web.openapi import TEXT, Operation, Parameter, Schema
from nsqtx.wire.names import EPHEMERAL, MAX_NAME_LENGTH

__all__ = [
    "CHANNEL",
    "METRICS",
    "NAME",
    "NO_CHANNEL",
    "NO_TOPIC",
    "OK",
    "PLAIN_TEXT",
    "TOPIC",
    "pprof_operations",
]

#: The name of a topic or channel.
NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_NAME_LENGTH,
    "pattern": f"^[.a-zA-Z0-9_-]+({EPHEMERAL})?$",
}
TOPIC = Parameter("topic", "Name of a topic.", NAME, required=True, example="orders")
CHANNEL = Parameter("channel", "Name of a channel.", NAME, required=True, example="billing")

#: How a request is refused that has no topic, and one that has no topic or channel to be used.
NO_TOPIC = ("INVALID_REQUEST", "MISSING_ARG_TOPIC")
NO_CHANNEL = (*NO_TOPIC, "INVALID_ARG_TOPIC", "MISSING_ARG_CHANNEL", "INVALID_ARG_CHANNEL")

PLAIN_TEXT = {"text/plain": TEXT}
#: The answer ``OK``.
OK = {"text/plain": {"type": "string", "const": "OK"}}

METRICS = Operation("GET", "/metrics", "Figures for Prometheus.", answer=PLAIN_TEXT, tag="watching")

_SECONDS = Parameter(
    "seconds", "How long to look.", {"type": "integer", "minimum": 1, "maximum": 300}, example=1
)
_GC = Parameter("gc", "1: collect garbage first.", {"type": "string"}, example="1")


def pprof_operations(index: str) -> list[Operation]:
    """What `nsqtx.web.debug.add_pprof_routes` adds, with the same index."""

    def page(name: str, summary: str, *parameters: Parameter, method: str = "GET") -> Operation:
        refusal = (500,) if name == "profile" else ()
        return Operation(
            method,
            f"/debug/pprof/{name}",
            summary,
            parameters,
            answer=PLAIN_TEXT,
            refusal=refusal,
            tag="debugging",
        )

    return [
        Operation(
            "GET", index, "A list of these pages.", answer={"text/html": TEXT}, tag="debugging"
        ),
        page("cmdline", "The command line, separated by NUL."),
        page("symbol", "Nothing of interest: stacks have names already."),
        page("symbol", "Nothing of interest: stacks have names already.", method="POST"),
        page("profile", "Where the time goes, by cProfile.", _SECONDS),
        page("heap", "What is in memory.", _GC),
        page("goroutine", "The stack of every thread, and the calls that wait for their time."),
        page("threadcreate", "The threads."),
        page("block", "Nothing: Python counts no waiting for locks."),
    ]
