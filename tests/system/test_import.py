"""A real nsqd on the data path of an original one."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.wireclient import WireClient

ARCHIVE = Path(__file__).parents[1] / "golden/data/datapath/clean-stop.tar.gz"


def test_a_data_path_of_the_original(tmp_path: Path) -> None:
    """It serves what is there, renames the files, and says so in its log and in nsqd.dat."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    with Daemon(tmp_path) as daemon:
        with WireClient(daemon.tcp) as client:
            client.subscribe("orders", "mail", ready=10)
            client.finish_all(client.read_messages(3))
        assert "TOPIC(orders): imported 8 messages" in daemon.log
        assert "gone#ephemeral:kept.diskqueue.meta.dat' is left alone" in daemon.log
        assert daemon.stop() == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert "orders:mail.diskqueue.000000.dat.imported" in names
    assert {name for name in names if name.endswith(".dat")} == {
        "nsqd.dat",
        "gone#ephemeral:kept.diskqueue.000000.dat",
        "gone#ephemeral:kept.diskqueue.meta.dat",
    }
    assert json.loads((tmp_path / "nsqd.dat").read_text())["nsqtx"] == 1
