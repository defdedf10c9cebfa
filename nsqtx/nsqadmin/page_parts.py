"""The parts of the pages, put together for one nsqadmin."""

from __future__ import annotations

from functools import partial

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator

from nsqtx.cluster.view import ClusterView
from nsqtx.nsqadmin.acl import allowed
from nsqtx.nsqadmin.assets import Assets
from nsqtx.nsqadmin.deeds import Deeds
from nsqtx.nsqadmin.events import EventStreams
from nsqtx.nsqadmin.graphs import Graphs
from nsqtx.nsqadmin.history import History
from nsqtx.nsqadmin.live_cluster import LiveCluster
from nsqtx.nsqadmin.login import Login, RunInThread
from nsqtx.nsqadmin.loginfile import WatchedLoginFile
from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqadmin.page import Pages
from nsqtx.nsqadmin.poller import Poller
from nsqtx.nsqadmin.urls import Urls

__all__ = ["PageParts"]


class PageParts:
    """The pages, and what has to be started and stopped for them.

    :param base: the base path without a slash at its end.
    :raises LoginFileError: the login file cannot be used.
    """

    def __init__(
        self,
        options: NsqadminOptions,
        base: str,
        clock: IReactorTime,
        view: ClusterView,
        deeds: Deeds,
        run_in_thread: RunInThread,
    ) -> None:
        self._cooperator = Cooperator(scheduler=partial(clock.callLater, 0.0), started=False)
        in_slices = self._cooperator.coiterate
        source = LiveCluster(view, deeds, in_slices)
        interval = options.poll_interval / 1e9
        self._poller = Poller(source.gather, clock, interval, History(), in_slices)
        self._streams = EventStreams(self._poller, clock, options.max_browsers)
        login = None
        if options.login_file:
            file = WatchedLoginFile(options.login_file, clock)
            login = Login(file.current, clock, run_in_thread)
        self.pages = Pages(
            source,
            self._poller,
            self._streams,
            clock,
            partial(allowed, options),
            Urls(base),
            login,
            Assets(options.dev_static_dir),
            Graphs.of(options, base),
        )

    def start(self) -> None:
        """Look at the cluster from now on."""
        self._cooperator.start()
        self._poller.start()

    def stop(self) -> None:
        """Look no more, and let open pages go."""
        self._streams.stop()
        self._poller.stop()
        if self._cooperator.running:
            self._cooperator.stop()
