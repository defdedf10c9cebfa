"""/openapi.json has every route, and is served; `tests/openapi` tries out whether it is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from klein import Klein
from twisted.internet.task import Clock

import nsqtx
from nsqtx.nsqadmin.http import AdminApi
from nsqtx.nsqadmin.openapi import OPERATIONS as NSQADMIN
from nsqtx.nsqadmin.openapi import PAGES
from nsqtx.nsqd.http import NsqdApi
from nsqtx.nsqd.openapi import OPERATIONS as NSQD
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node as LookupNode
from nsqtx.nsqlookupd.openapi import OPERATIONS as NSQLOOKUPD
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.version import __version__
from nsqtx.web.openapi import OPENAPI, Operation, document
from nsqtx.web.site import ApiSite
from tests.support.http import fetch
from tests.support.nsqdapi import Nsqd

PROGRAMS: list[Any] = [
    pytest.param(NsqdApi.app, NSQD, "nsqd", id="nsqd"),
    pytest.param(LookupApi.app, NSQLOOKUPD, "nsqlookupd", id="nsqlookupd"),
    pytest.param(AdminApi.app, NSQADMIN, "nsqadmin", id="nsqadmin"),
]
#: What only pages of nsqadmin answer.
OF_PAGES = {(503, "TOO_MANY_BROWSERS")}


@pytest.mark.parametrize(("app", "operations", "name"), PROGRAMS)
def test_every_route_is_described(app: Klein, operations: list[Operation], name: str) -> None:
    """Each method of each path, and none that is not there; pages of nsqadmin are left out."""
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if name != "nsqadmin" or rule.rule not in PAGES
    }
    assert {(each.method, each.path) for each in [*operations, OPENAPI]} == routes


@pytest.mark.parametrize(("app", "operations", "name"), PROGRAMS)
def test_every_error_is_described(app: Klein, operations: list[Operation], name: str) -> None:
    """With its status; those that are spelt out where they are raised."""
    described = {
        (status, token)
        for each in operations
        for status, tokens in each.errors.items()
        for token in tokens
    }
    package = Path(nsqtx.__file__).parent / name
    text = "".join(path.read_text("utf-8") for path in package.glob("*.py"))
    raised = re.findall(r'ApiError\((\d+), "([A-Z_]+)"\)', text)
    assert raised
    said = {(int(status), token) for status, token in raised} - OF_PAGES
    freely = {status for each in operations for status in each.reasons}
    assert {(status, token) for status, token in said if status not in freely} <= described


@pytest.mark.parametrize(("app", "operations", "name"), PROGRAMS)
def test_operations_have_names_of_their_own(
    app: Klein, operations: list[Operation], name: str
) -> None:
    """Programs that make clients of the document need them."""
    paths = document(name, operations)["paths"]
    names = [each["operationId"] for path in paths.values() for each in path.values()]
    assert len(names) == len(set(names)) == len(operations)


def test_parts_of_a_path_are_required() -> None:
    """The document has them in braces."""
    found = document("nsqd", NSQD)["paths"]["/config/{option}"]["get"]["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in found] == [
        ("option", "path", True)
    ]


def lookup_site() -> ApiSite:
    """A nsqlookupd in memory."""
    return LookupApi(LookupNode(NsqlookupdOptions(), Clock())).site()


@pytest.mark.parametrize("site", [lambda: Nsqd().site, lookup_site])
def test_the_document_is_served(site: Any) -> None:
    """As JSON, of the version of OpenAPI and of ours."""
    answer = fetch(site(), "GET", "/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    found = json.loads(answer.body)
    assert found["openapi"] == "3.1.0"
    assert found["info"]["version"] == __version__
    assert "/ping" in found["paths"]
