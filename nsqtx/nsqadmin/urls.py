"""Where the pages are: the original's places (nsqadmin section 3.4), and ours beside them."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import attrs

from nsqtx.nsqadmin.source import Action

__all__ = ["Urls"]


def _part(name: str) -> str:
    return quote(name, safe="")


@attrs.frozen
class Urls:
    """Links under a base path: empty, or without a slash at its end."""

    base: str = ""

    @property
    def home(self) -> str:
        """The topics."""
        return self.base or "/"

    def topic(self, topic: str) -> str:
        """A topic."""
        return f"{self.base}/topics/{_part(topic)}"

    def channel(self, topic: str, channel: str) -> str:
        """A channel."""
        return f"{self.base}/topics/{_part(topic)}/{_part(channel)}"

    def node(self, address: str) -> str:
        """A node."""
        return f"{self.base}/nodes/{_part(address)}"

    def page(self, name: str) -> str:
        """Any other: ``nodes``, ``counter``, ``lookup``, ``login``, ..."""
        return f"{self.base}/{name}"

    def static(self, name: str, version: str) -> str:
        """A file of ours; the URL changes with its contents."""
        return f"{self.base}/static/{name}?v={version}"

    def peek(self, topic: str, channel: str = "", **more: str) -> str:
        """Messages of a topic or channel."""
        return f"{self.base}/peek?{_query(topic=topic, channel=channel, **more)}"

    def action(self, do: str, topic: str, channel: str = "", node: str = "") -> str:
        """The question whether something is to be done."""
        return f"{self.base}/action?{_query(do=do, topic=topic, channel=channel, node=node)}"

    def theme(self, theme: str, back: str) -> str:
        """Light, dark or auto from now on."""
        return f"{self.base}/theme?{_query(set=theme, next=back)}"

    def about(self, action: Action) -> str:
        """The page of what an action is about; of what is to be created there is none yet."""
        if action.do == "create":
            return self.page("lookup")
        if action.do == "tombstone":
            return self.node(action.node)
        if action.channel:
            return self.channel(action.topic, action.channel)
        return self.topic(action.topic)

    def after(self, action: Action) -> str:
        """Where one goes when it is done: not to what is gone."""
        if action.do == "delete":
            return self.topic(action.topic) if action.channel else self.home
        return self.about(action)

    def is_ours(self, target: str) -> bool:
        """Whether a place that a request names is one of these, and not another site's."""
        plain = not any(each in target for each in "\\\r\n\t")
        inside = target == self.home or target.startswith((f"{self.base}/", f"{self.base}?"))
        return plain and inside and target.startswith("/") and not target.startswith("//")


def _query(**args: str) -> str:
    return urlencode({name: value for name, value in args.items() if value})
