"""Who may do what, by the original's rules (nsqadmin sections 8.1 and 8.3).

A proxy in front says in a header who the user is; nsqadmin itself asks nobody. That header is to be
taken away by the proxy where it comes from outside.
"""

from __future__ import annotations

import ipaddress

from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqadmin.roles import Role, identity_of
from nsqtx.web.api import ApiError
from nsqtx.web.site import ApiRequest

__all__ = ["allowed", "check_config_network", "is_admin", "user_of"]


def user_of(options: NsqadminOptions, request: ApiRequest) -> str:
    """Who makes a request, as the proxy says; empty: it says nothing."""
    values = request.requestHeaders.getRawHeaders(options.acl_http_header.encode()) or [b""]
    return values[0].decode("utf-8", "surrogateescape")


def is_admin(options: NsqadminOptions, request: ApiRequest) -> bool:
    """Whether who makes a request may change things."""
    return not options.admin_user or user_of(options, request) in options.admin_user


def allowed(options: NsqadminOptions, request: ApiRequest) -> Role:
    """What who makes a request may do: the role of the login, if there is one, else that of the
    proxy's user."""
    identity = identity_of(request)
    if identity is not None:
        return identity.role
    return Role.ADMIN if is_admin(options, request) else Role.VIEW


def check_config_network(options: NsqadminOptions, request: ApiRequest) -> None:
    """See that a request for ``/config`` comes from where it may.

    :raises ApiError: it does not.
    """
    if not options.allow_config_from_cidr:
        return
    network = ipaddress.ip_network(options.allow_config_from_cidr, strict=False)
    host = getattr(request.getClientAddress(), "host", "")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ApiError(400, "INVALID_REMOTE_ADDR") from None
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address) not in network:
        raise ApiError(403, "FORBIDDEN")
