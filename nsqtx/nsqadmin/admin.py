"""One nsqadmin, as its HTTP API and its pages see it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nsqtx.cluster.actions import ClusterActions
from nsqtx.cluster.view import ClusterView
from nsqtx.kinds import LOG_LEVEL
from nsqtx.nsqadmin.login import RunInThread
from nsqtx.nsqadmin.options import NsqadminOptions, normal_base_path
from nsqtx.nsqadmin.page_parts import PageParts
from nsqtx.options import config_value
from nsqtx.wire import gojson

__all__ = ["Admin"]


class Admin:
    """The parts of a running nsqadmin.

    :param agent: makes connections to nsqlookupd, nsqd, graphite and who is notified.
    :param set_log_level: makes another level count.
    :param run_in_thread: for what takes its time.
    """

    def __init__(
        self,
        options: NsqadminOptions,
        clock: IReactorTime,
        agent: IAgent,
        set_log_level: Callable[[str], None] = lambda level: None,
        run_in_thread: RunInThread = maybeDeferred,
    ) -> None:
        self.options = options
        self.clock = clock
        self.agent = agent
        self.hostname = socket.gethostname()
        self.http_port = 0
        options.base_path = normal_base_path(options.base_path)
        #: What links begin with: empty, or the base path.
        self.base = options.base_path.rstrip("/")
        self.view = ClusterView(
            agent,
            clock,
            list(options.lookupd_http_address),
            list(options.nsqd_http_address),
            timeout=options.http_client_request_timeout / 1e9,
        )
        self.actions = ClusterActions(self.view)
        self._parts = PageParts(options, self.base, clock, self.actions, run_in_thread)
        self.pages = self._parts.pages
        self._set_log_level = set_log_level

    def start(self) -> None:
        """Look at the cluster from now on."""
        self._parts.start()

    def stop(self) -> None:
        """Look no more, and let open pages go."""
        self._parts.stop()

    def config_get(self, key: str) -> Any:
        """What ``/config/<key>`` shows: str for text, else JSON.

        :raises KeyError: there is no such option.
        """
        return config_value(self.options, key)

    def config_set(self, key: str, body: bytes) -> Any:
        """Change an option as long as nsqadmin runs; its new value.

        :raises KeyError: it cannot be changed, or does not exist.
        :raises ValueError: it can, but not to this.
        """
        if key == "log_level":
            self.change("log_level", LOG_LEVEL.parse(body.decode("utf-8", "replace")))
        elif key == "nsqlookupd_http_addresses":
            addresses = gojson.decode(body)
            if addresses is not None and (
                not isinstance(addresses, list)
                or not all(isinstance(each, str) for each in addresses)
            ):
                raise ValueError("not an array of strings")
            self.change("lookupd_http_address", addresses or [])
            return addresses
        else:
            raise KeyError(key)
        return self.config_get(key)

    def change(self, name: str, value: Any) -> None:
        """Give an option, by its name, another value that is valid, and let it take effect."""
        setattr(self.options, name, value)
        if name == "log_level":
            self._set_log_level(value)
        else:
            self.view.lookupds = list(value)
