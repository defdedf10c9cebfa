"""``GET /openapi.json``: an HTTP API described for programs, in OpenAPI 3.1. Ours, not NSQ's.

Beside its routes a daemon has a list of `Operation`, one for each; `document` turns it into the
document. What one may send is said strictly, what comes back may have more in it than is said: NSQ
adds keys from time to time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from klein import Klein

from nsqtx.version import NSQ_VERSION, __version__
from nsqtx.web.api import answer_json, unlogged
from nsqtx.web.site import ApiRequest

__all__ = [
    "BYTES",
    "FLAG",
    "JSON",
    "NUMBER",
    "OPENAPI",
    "TEXT",
    "WHOLE",
    "Operation",
    "Parameter",
    "Schema",
    "add_openapi_route",
    "document",
    "list_of",
    "nullable",
    "record",
]

#: A JSON schema.
Schema = dict[str, Any]

#: Kinds of bodies and answers.
JSON = "application/json"
PLAIN = "text/plain"
BYTES = "application/octet-stream"

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}


def record(optional: Mapping[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """An object that has these fields, and may have the optional ones and others."""
    return {
        "type": "object",
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
    }


def list_of(item: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": item}


def nullable(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


@attrs.frozen
class Parameter:
    """A parameter of the query, or a part ``<name>`` of the path. ``example`` is a usual value."""

    name: str
    meaning: str
    schema: Schema
    required: bool = False
    example: Any = None

    def described(self, path: str) -> dict[str, Any]:
        """As the document has it."""
        in_path = f"<{self.name}>" in path
        found = {
            "name": self.name,
            "in": "path" if in_path else "query",
            "description": self.meaning,
            "required": self.required or in_path,
            "schema": self.schema,
        }
        return found if self.example is None else {**found, "example": self.example}


@attrs.frozen
class Operation:
    """What a method on a path does.

    ``path`` is Klein's. ``body`` are kinds of bodies with their schemas, ``answer`` the same of the
    answer 200 (none: it is empty), ``errors`` the tokens of NSQ by status. ``reasons`` are statuses
    with any text where others have a token, ``refusal`` those that are answered by plain text.
    """

    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Schema] = attrs.field(factory=dict)
    answer: Mapping[str, Schema] = attrs.field(factory=dict)
    errors: Mapping[int, tuple[str, ...]] = attrs.field(factory=dict)
    reasons: tuple[int, ...] = ()
    refusal: tuple[int, ...] = ()
    tag: str = ""

    def described(self) -> dict[str, Any]:
        """As the document has it."""
        found: dict[str, Any] = {
            "operationId": re.sub("[^a-z]+", "_", f"{self.method} {self.path}".lower()).strip("_"),
            "summary": self.summary,
            "parameters": [each.described(self.path) for each in self.parameters],
            "responses": self._responses(),
        }
        if self.tag:
            found["tags"] = [self.tag]
        if self.body:
            found["requestBody"] = {"required": True, "content": _content(self.body)}
        return found

    def _responses(self) -> dict[str, Any]:
        done: dict[str, Any] = {"description": "Done."}
        if self.answer:
            done["content"] = _content(self.answer)
        responses = {"200": done}
        for status, tokens in sorted(self.errors.items()):
            message = record(message={"type": "string", "enum": list(tokens)})
            responses[str(status)] = {
                "description": ", ".join(tokens),
                "content": _content({JSON: message}),
            }
        for statuses, content in (
            (self.reasons, {JSON: record(message=TEXT)}),
            (self.refusal, {PLAIN: TEXT}),
        ):
            for status in statuses:
                responses[str(status)] = {
                    "description": "The reason.",
                    "content": _content(content),
                }
        return responses


def _content(kinds: Mapping[str, Schema]) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind, schema in kinds.items()}


#: The document itself.
OPENAPI = Operation(
    "GET", "/openapi.json", "This document.", answer={JSON: {"type": "object"}}, tag="node"
)


def document(title: str, operations: Iterable[Operation]) -> dict[str, Any]:
    """An OpenAPI document of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        path = re.sub("<(.*?)>", r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = each.described()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "summary": f"As of NSQ {NSQ_VERSION}",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Where the document is: nsqadmin may be under a path.
        "servers": [{"url": "./"}],
        "paths": paths,
    }


def add_openapi_route(app: Klein, title: str, operations: Iterable[Operation]) -> None:
    """Add ``/openapi.json`` to an app, with these operations and itself."""
    body = json.dumps(document(title, [*operations, OPENAPI])).encode()

    @app.route(OPENAPI.path, methods=["GET"])
    @unlogged
    def openapi(_api: Any, request: ApiRequest) -> bytes:
        return answer_json(request, body)
