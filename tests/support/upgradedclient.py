"""`WireClient` over TLS, snappy or deflate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.golden.layers import DeflateLayer, Layer, SnappyLayer
from tests.support.tlsclient import client_context
from tests.support.wireclient import WireClient

__all__ = ["UpgradedClient"]


class UpgradedClient(WireClient):
    """A connection that asks for features in its IDENTIFY and upgrades.

    :param features: some of ``tls``, ``snappy`` and ``deflate``.
    :param fields: more of IDENTIFY.
    """

    def __init__(
        self,
        address: tuple[str, int],
        features: Sequence[str],
        timeout: float = 10.0,
        **fields: Any,
    ) -> None:
        self._layer: Layer | None = None
        super().__init__(address, timeout=timeout)
        asked = {"tls_v1" if name == "tls" else name: True for name in features}
        answer = self.identify(**asked, **fields)
        assert all(answer[name] for name in asked)
        if "tls" in features:
            self.socket = client_context().wrap_socket(self.socket)
            self.expect()
        if "snappy" in features or "deflate" in features:
            self._layer = SnappyLayer() if "snappy" in features else DeflateLayer(level=1)
            # The OK may have come together with the frame before.
            self._buffer = bytearray(self._layer.decode(bytes(self._buffer)))
            self.expect()

    def _encode(self, data: bytes) -> bytes:
        return data if self._layer is None else self._layer.encode(data)

    def _decode(self, data: bytes) -> bytes:
        return data if self._layer is None else self._layer.decode(data)
