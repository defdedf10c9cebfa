"""Doing something: first the question, with what it would mean; then, by a form, the deed.

So everything works without a script, a link changes nothing, and nobody deletes by accident.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from klein import Klein

from nsqtx.nsqadmin.errors import PageError
from nsqtx.nsqadmin.forms import page_args, read_form
from nsqtx.nsqadmin.page import Pages, page
from nsqtx.nsqadmin.roles import NEEDED
from nsqtx.nsqadmin.rows import Snapshot
from nsqtx.nsqadmin.source import Action, Refused
from nsqtx.web.site import ApiRequest
from nsqtx.wire.names import valid_name

__all__ = ["add_action_routes"]

#: What is said when it is done.
DONE = {
    "create": "Created",
    "pause": "Paused",
    "unpause": "Unpaused",
    "empty": "Emptied",
    "delete": "Deleted",
    "tombstone": "Tombstoned",
    "redrive": "Redriven",
}
#: What cannot be undone.
DANGEROUS = frozenset(["empty", "delete", "tombstone"])
_NUMBER = re.compile("[1-9][0-9]{0,17}")


def add_action_routes(app: Klein) -> None:
    """Add the question and the deed."""

    @app.route("/action", methods=["GET"])
    @page
    async def ask(pages: Pages, request: ApiRequest) -> bytes:
        action = _action(page_args(request))
        pages.require(request, action.do)
        snapshot = await pages.snapshot()
        return pages.render(
            request,
            "confirm.html",
            active="",
            action=action,
            dangerous=action.do in DANGEROUS,
            form_token=pages.tokens.issue(request, pages.urls.home),
            back=pages.urls.about(action),
            **_about(snapshot, action),
        )

    @app.route("/action", methods=["POST"])
    @page
    async def act(pages: Pages, request: ApiRequest) -> bytes:
        form = read_form(request)
        if not pages.tokens.check(request, form.get("token", "")):
            raise PageError(
                403, "This form is out of date, or not from here. Go back and try once more."
            )
        action = _action(form)
        pages.require(request, action.do)
        try:
            done = await pages.source.act(request, action)
        except Refused as error:
            raise PageError(502, str(error), hint="Back", link=pages.urls.about(action)) from None
        pages.shared.forget()
        await pages.poller.refresh()
        what = _named(action)
        if done.count is not None:
            what = f"{done.count:,} messages of {what}"
        note = pages.notes.keep(f"{DONE[action.do]} {what}.", done.warnings)
        return pages.redirect(request, f"{pages.urls.after(action)}?note={note}")


def _action(args: Mapping[str, str]) -> Action:
    """What is asked for.

    :raises PageError: there is no such thing to do.
    """
    do = args.get("do", "")
    topic, channel, node = (args.get(name, "").strip() for name in ("topic", "channel", "node"))
    if do not in DONE or do not in NEEDED:
        raise PageError(400, "There is no such action.")
    if not valid_name(topic):
        raise PageError(400, "That is no valid name for a topic.")
    if channel and not valid_name(channel):
        raise PageError(400, "That is no valid name for a channel.")
    if (do == "tombstone") != bool(node) or (do == "redrive" and not channel):
        raise PageError(400, "Something is missing in the address of this page.")
    limit = args.get("limit", "").strip()
    if limit and not _NUMBER.fullmatch(limit):
        raise PageError(400, "The number of messages is no number.")
    return Action(do, topic, "" if do == "tombstone" else channel, node, int(limit or "0"))


def _named(action: Action) -> str:
    if action.node:
        return f"topic {action.topic} on {action.node}"
    if action.channel:
        return f"channel {action.channel} of topic {action.topic}"
    return f"topic {action.topic}"


def _about(snapshot: Snapshot, action: Action) -> dict[str, object]:
    """What there is of it, so that the question can say what the deed would mean."""
    topic = snapshot.topics.get(action.topic)
    channel = topic.channels.get(action.channel) if topic is not None else None
    return {"topic": topic, "channel": channel, "node": snapshot.nodes.get(action.node)}
