"""Publishing from a program with threads, as Django and Flask have it: over HTTP.

There is no reactor and no library: a POST to the nsqd on the same host, and its answer. A thread
keeps its connection, so that a publish costs one exchange. `publish` is all that a view needs::

    # Django
    def order(request):
        try:
            publish("orders", request.body)
        except NotPublished:
            return HttpResponse("try again", status=503)
        return HttpResponse(status=202)

    # Flask
    @app.post("/orders")
    def order():
        publish("orders", flask.request.get_data())
        return "", 202

``python doc/examples/django_or_flask.py 8080`` serves that by the WSGI of the standard library::

    curl -d '{"number": 1}' http://127.0.0.1:8080/orders
"""

from __future__ import annotations

import http.client
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode
from wsgiref.simple_server import make_server

#: Host and port of the nsqd; the one on this host unless the environment says otherwise.
NSQD = os.environ.get("NSQD_HTTP_ADDRESS", "127.0.0.1:4151")
#: How long an answer may take, in seconds.
TIMEOUT = 5.0

_of_thread = threading.local()


class NotPublished(Exception):
    """Nsqd has not said OK. ``refused``: it will not take this message at any time."""

    def __init__(self, reason: str, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


def publish(topic: str, body: bytes, defer_ms: int = 0) -> None:
    """Return when nsqd has the message.

    A connection that was kept may have been closed meanwhile, by a restart say; so there is a
    second try. It may publish the message twice, where the answer to the first was lost.

    :raises NotPublished: it has not, or may have not.
    """
    query = {"topic": topic, **({"defer": str(defer_ms)} if defer_ms else {})}
    for is_last in (False, True):
        connection = getattr(_of_thread, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(NSQD, timeout=TIMEOUT)
            _of_thread.connection = connection
        try:
            connection.request("POST", f"/pub?{urlencode(query)}", body)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            _of_thread.connection = None
            if is_last:
                raise NotPublished(str(error), refused=False) from error
            continue
        if answer.status != 200:
            raise NotPublished(text, refused=answer.status < 500)
        return


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The views above, without a framework."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        publish("orders", environ["wsgi.input"].read(size))
    except NotPublished as error:
        status = "400 Bad Request" if error.refused else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [f"{error}\n".encode()]
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [b"thank you\n"]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), application) as server:
        print("listening on port", server.server_port, flush=True)
        server.serve_forever()
