"""What kinds of simulations there are: the durability of nsqd, and which faults come how often."""

from __future__ import annotations

import attrs

__all__ = ["PROFILES", "Profile"]

#: Faults of the network and of clients, which every profile has, with their weights.
NETWORK = {
    "reset": 3,
    "cut": 2,
    "cut_one_way": 1,
    "slow_link": 1,
    "lookupd": 1,
    "stopped": 1,
}
DISK = {"no_space": 1, "write_fails": 1, "sync_fails": 1, "read_fails": 1, "slow_disk": 1}


@attrs.frozen
class Profile:
    """A kind of simulation. ``faults`` have weights; ``rotten`` disks change what they keep."""

    durability: str
    faults: dict[str, int]
    rotten: bool = False


#: By name, in the order in which seeds take turns.
PROFILES = {
    "os": Profile("os", {**NETWORK, **DISK, "kill": 4, "kill_inside": 4, "restart": 1}),
    "fsync": Profile(
        "fsync",
        {**NETWORK, **DISK, "kill": 1, "kill_inside": 3, "cut_power": 4, "cut_inside": 3},
    ),
    "memory": Profile("memory", {**NETWORK, **DISK, "restart": 4, "kill": 1}),
    "power": Profile("os", {**NETWORK, "cut_power": 3, "kill": 2, "restart": 1}),
    "clock": Profile("os", {**NETWORK, "jump": 5, "kill": 2, "restart": 2}),
    "rot": Profile("os", {"reset": 2, "flip": 4, "kill": 3, "restart": 1}, rotten=True),
}
