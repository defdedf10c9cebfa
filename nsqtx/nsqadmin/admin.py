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
from nsqtx.nsqadmin.acl import allowed
from nsqtx.nsqadmin.deeds import Deeds
from nsqtx.nsqadmin.login import RunInThread
from nsqtx.nsqadmin.notify import Notifier
from nsqtx.nsqadmin.options import NsqadminOptions, normal_base_path
from nsqtx.nsqadmin.page_parts import PageParts
from nsqtx.nsqadmin.roles import Role
from nsqtx.options import config_value
from nsqtx.web.site import ApiRequest
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
        self._notifier: Notifier | None = None
        if options.notification_http_endpoint:
            self._notifier = Notifier(
                options.notification_http_endpoint,
                agent,
                clock,
                options.http_client_request_timeout / 1e9,
            )
        self.deeds = Deeds(ClusterActions(self.view), self._notifier, clock, self.hostname)
        self._parts = PageParts(options, self.base, clock, self.view, self.deeds, run_in_thread)
        self.pages = self._parts.pages
        self._set_log_level = set_log_level

    def start(self) -> None:
        """Look at the cluster from now on."""
        self._parts.start()

    def stop(self) -> None:
        """Look no more, let open pages go, and tell nobody anything any more."""
        self._parts.stop()
        if self._notifier is not None:
            self._notifier.stop()

    def role_of(self, request: ApiRequest) -> Role:
        """What who makes a request may do."""
        return allowed(self.options, request)

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
