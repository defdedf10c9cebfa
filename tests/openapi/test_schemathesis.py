"""What /openapi.json says is what the running daemons do: schemathesis tries it out.

Each operation gets requests that the document allows, some of them about a topic and a channel that
exist, and requests that it does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from nsqtx.nsqadmin.openapi import OPERATIONS as NSQADMIN
from nsqtx.nsqd.openapi import OPERATIONS as NSQD
from nsqtx.nsqlookupd.openapi import OPERATIONS as NSQLOOKUPD
from nsqtx.web.openapi import OPENAPI, Operation
from tests.support.blockinghttp import get, post, put
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.openapi, pytest.mark.timeout(120)]

OPERATIONS = {
    "nsqd": [*NSQD, OPENAPI],
    "nsqlookupd": [*NSQLOOKUPD, OPENAPI],
    "nsqadmin": [*NSQADMIN, OPENAPI],
}
#: What would end the daemon that the others need, or take longer than it is worth.
ALONE = {("PUT", "/config/<option>"), ("GET", "/debug/pprof/profile")}
#: What NSQ takes for something sensible, whatever it is. The document describes what is sensible.
LENIENT = {
    "/debug/pprof/heap",
    "/stats",
    # Nsqadmin asks upstream about any name.
    "/api/topics/<topic>",
    "/api/topics/<topic>/<channel>",
    "/api/nodes/<node>",
}
#: Where a request may be as the document says and still be refused, for reasons no schema can say.
FUSSY = {"/mpub", "/mput", "/channel/create", "/channel/dead_letter"}
#: What is looked at in the content of an answer.
CONTENT = ("content_type_conformance", "response_schema_conformance")
#: Any text will do here, so there is nothing that the document does not allow.
ANYTHING = {("GET", "/api/nodes/<node>")}
KNOWN = {"topic": "orders", "channel": "billing"}

FEW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Api:
    """A daemon, and its document as schemathesis has read it.

    ``holder`` is the one that has topics; itself unless given.
    """

    def __init__(self, daemon: Daemon, holder: Daemon | None = None) -> None:
        self.daemon = daemon
        self.holder = holder or daemon
        self.url = f"http://127.0.0.1:{daemon.http_port}"
        self.schema = schemathesis.openapi.from_url(f"{self.url}/openapi.json")

    def prepare(self) -> None:
        """See that the topic and the channel that requests are about exist."""
        create = "/topic/create?topic=orders", "/channel/create?topic=orders&channel=billing"
        for target in create:
            assert post(self.holder.http, target)[0] == 200


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Api]]:
    """An nsqd, and a nsqlookupd apart from it; a nsqadmin that sees the nsqd."""
    data = tmp_path_factory.mktemp("openapi")
    with Daemon(data) as nsqd, Daemon(None, program="nsqlookupd") as nsqlookupd:
        upstream = f"--nsqd-http-address=127.0.0.1:{nsqd.http_port}"
        with Daemon(None, upstream, program="nsqadmin") as nsqadmin:
            yield {
                "nsqd": Api(nsqd),
                "nsqlookupd": Api(nsqlookupd),
                "nsqadmin": Api(nsqadmin, nsqd),
            }


def operations() -> list[Any]:
    """Each operation of each daemon."""
    return [
        pytest.param(program, each, id=f"{program} {each.method} {each.path}")
        for program, all_of_it in OPERATIONS.items()
        for each in all_of_it
        if (each.method, each.path) not in ALONE
    ]


@pytest.mark.parametrize(("program", "operation"), operations())
def test_the_daemon_does_what_the_document_says(
    program: str, operation: Operation, apis: dict[str, Api]
) -> None:
    """Status, kind and schema of every answer; what is not allowed is refused."""
    api = apis[program]
    path = operation.path.replace("<", "{").replace(">", "}")
    found = api.schema[path][operation.method]
    without = [CHECKS.get_one("positive_data_acceptance")] if operation.path in FUSSY else []
    if operation.path in LENIENT or not operation.parameters:
        without.append(CHECKS.get_one("negative_data_rejection"))

    if operation.path == "/config/<option>":
        # An option that is an empty text is answered by nothing, of no kind.
        without += [CHECKS.get_one(name) for name in CONTENT]
    if program == "nsqadmin":
        # What it is asked about may not be there; which statuses there are is still looked at.
        without.append(CHECKS.get_one("not_a_server_error"))

    def run(strategy: Any) -> None:
        @FEW
        @given(case=strategy)
        def tried(case: Any) -> None:
            api.prepare()
            case.call_and_validate(base_url=api.url, excluded_checks=without, timeout=10)

        tried()

    run(found.as_strategy())
    names = {each.name for each in operation.parameters}
    known = {name: value for name, value in KNOWN.items() if name in names}
    in_path = {name: value for name, value in known.items() if f"<{name}>" in operation.path}
    if in_path:
        run(found.as_strategy(path_parameters=in_path))
    elif known:
        run(found.as_strategy(query=known))
    possible = (operation.method, operation.path) not in ANYTHING
    if possible and (operation.parameters or operation.body):
        run(found.as_strategy(GenerationMode.NEGATIVE))
    assert api.daemon.running


@pytest.mark.parametrize("program", OPERATIONS)
def test_no_other_method_is_answered(program: str, apis: dict[str, Api]) -> None:
    """A path answers to the methods of the document, and refuses the others with their list."""
    api = apis[program]
    methods: dict[str, set[str]] = {}
    for each in OPERATIONS[program]:
        methods.setdefault(each.path, set()).add(each.method)
    for path, known in methods.items():
        for method, ask in (("GET", get), ("POST", post), ("PUT", put)):
            if method not in known:
                target = re.sub("<.*?>", "log_level", path)
                assert ask(api.daemon.http, target)[0] == 405


def test_what_can_be_changed_is_what_the_document_says(apis: dict[str, Api]) -> None:
    """Each value is answered as the document says; draining is called off, so that nsqd stays."""
    api = apis["nsqd"]
    found = api.schema["/config/{option}"]["PUT"]
    values = {"log_level": b"info", "nsqlookupd_tcp_addresses": b"[]", "drain": b"false"}
    for option, body in values.items():
        case = found.Case(
            path_parameters={"option": option}, body=body, media_type="application/octet-stream"
        )
        assert case.call_and_validate(base_url=api.url).status_code == 200
