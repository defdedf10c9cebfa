"""gnsq's client for nsqlookupd: every call it has.

``python -m tests.interop.clients.gnsq_directory host:port`` prints as JSON what the reading calls
gave. There must be one node, with the topics ``here`` and ``hidden``.
"""

from __future__ import annotations

import json
import sys

import gnsq  # type: ignore[import-untyped]


def main(address: str) -> None:
    """Change what can be changed, then read everything."""
    host, port = address.split(":")
    client = gnsq.LookupdClient(host, int(port))
    client.create_topic("made")
    client.create_channel("made", "c")
    client.create_channel("made", "d")
    client.delete_channel("made", "d")
    client.create_topic("gone")
    client.delete_topic("gone")
    (node,) = client.nodes()["producers"]
    client.tombstone_topic("hidden", f"{node['broadcast_address']}:{node['http_port']}")
    found = {
        "ping": client.ping().decode(),
        "info": client.info(),
        "topics": sorted(client.topics()["topics"]),
        "channels": client.channels("made")["channels"],
        "here": client.lookup("here")["producers"],
        "hidden": client.lookup("hidden")["producers"],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
