"""``/config/<option>``: options of the running nsqadmin (nsqadmin section 8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from klein import Klein

from nsqtx.nsqadmin.acl import check_config_network
from nsqtx.web.api import ApiError, v1
from nsqtx.web.site import ApiRequest

if TYPE_CHECKING:
    from nsqtx.nsqadmin.http import AdminApi

__all__ = ["add_config_routes"]


def add_config_routes(app: Klein) -> None:
    """Add the endpoints to the app of an `AdminApi`."""

    @app.route("/config/<option>", methods=["GET"], endpoint="get_option")
    @v1
    def get_option(api: AdminApi, request: ApiRequest, option: str) -> Any:
        check_config_network(api.admin.options, request)
        try:
            return api.admin.config_get(option)
        except KeyError:
            raise ApiError(400, "INVALID_OPTION") from None

    @app.route("/config/<option>", methods=["PUT"], endpoint="set_option")
    @v1
    def set_option(api: AdminApi, request: ApiRequest, option: str) -> Any:
        check_config_network(api.admin.options, request)
        if request.body_too_big or request.body_broken or not request.body:
            raise ApiError(413, "INVALID_VALUE")
        try:
            return api.admin.config_set(option, request.body)
        except KeyError:
            raise ApiError(400, "INVALID_OPTION") from None
        except ValueError:
            raise ApiError(400, "INVALID_VALUE") from None
