"""What the API changes (nsqadmin section 5.7): who may, what is asked for, then the deed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klein import Klein

from nsqtx.cluster.actions import ACTIONS
from nsqtx.nsqadmin.api_read import upstream
from nsqtx.nsqadmin.bodies import read_fields
from nsqtx.web.api import ApiError, v1
from nsqtx.web.site import ApiRequest
from nsqtx.wire.names import valid_name

if TYPE_CHECKING:
    from nsqtx.nsqadmin.http import AdminApi

__all__ = ["add_action_routes"]


def add_action_routes(app: Klein) -> None:
    """Add the endpoints to the app of an `AdminApi`."""

    @app.route("/api/topics", methods=["POST"], endpoint="api_create")
    @v1
    @upstream
    async def create(api: AdminApi, request: ApiRequest) -> dict[str, Any]:
        api.require(request, "create")
        topic, channel = read_fields(request, "topic", "channel")
        if not valid_name(topic):
            raise ApiError(400, "INVALID_TOPIC")
        if channel and not valid_name(channel):
            raise ApiError(400, "INVALID_CHANNEL")
        done = await api.admin.deeds.create(request, topic, channel)
        return {"message": done.message}

    @app.route("/api/topics/<topic>", methods=["POST"], endpoint="api_act")
    @app.route("/api/topics/<topic>/<channel>", methods=["POST"], endpoint="api_act_channel")
    @v1
    @upstream
    async def act(
        api: AdminApi, request: ApiRequest, topic: str, channel: str = ""
    ) -> dict[str, Any]:
        api.require(request, "")
        (action,) = read_fields(request, "action")
        if action not in ACTIONS:
            raise ApiError(400, "INVALID_ACTION")
        api.require(request, action)
        done = await api.admin.deeds.act(request, action, topic, channel)
        return {"message": done.message}

    @app.route("/api/topics/<topic>", methods=["DELETE"], endpoint="api_delete")
    @app.route("/api/topics/<topic>/<channel>", methods=["DELETE"], endpoint="api_delete_channel")
    @v1
    @upstream
    async def delete(
        api: AdminApi, request: ApiRequest, topic: str, channel: str = ""
    ) -> dict[str, Any]:
        api.require(request, "delete")
        done = await api.admin.deeds.delete(request, topic, channel)
        return {"message": done.message}

    @app.route("/api/nodes/<node>", methods=["DELETE"], endpoint="api_tombstone")
    @v1
    @upstream
    async def tombstone(api: AdminApi, request: ApiRequest, node: str) -> dict[str, Any]:
        api.require(request, "tombstone")
        try:
            (topic,) = read_fields(request, "topic")
        except ApiError as error:
            raise ApiError(error.status, "INVALID_BODY") from None
        if not valid_name(topic):
            raise ApiError(400, "INVALID_TOPIC")
        done = await api.admin.deeds.tombstone(request, topic, node)
        return {"message": done.message}
