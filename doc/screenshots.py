"""Pictures of every page of nsqadmin: ``python doc/screenshots.py FOLDER`` in the repository.

Needs the extra ``browser`` and Debian's ``chromium`` and ``chromium-driver``. Each page is taken at
1280 and 400 pixels, in light and in dark, of a small cluster with traffic. A number behind the
folder says how many seconds of that the charts shall have; 230 fill them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.chromium import Chromium
from tests.support.livecluster import LiveCluster

SIZES = {"wide": (1280, False), "narrow": (400, False), "dark": (1280, True)}


def main() -> None:
    """Take them all."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        LiveCluster(Path(data), "--poll-interval=1s") as cluster,
        Chromium(Path(data) / "browser") as browser,
    ):
        node = f"127.0.0.1:{cluster.nsqds[0].http_port}"
        pages = {
            "topics": "/",
            "topic": "/topics/orders",
            "topic-without-channels": "/topics/events",
            "channel": "/topics/orders/billing",
            "dead-letters": "/topics/failed/work",
            "nodes": "/nodes",
            "node": f"/nodes/{node}",
            "counter": "/counter",
            "lookup": "/lookup",
            "peek": "/peek?topic=events",
            "delete": "/action?do=delete&topic=orders",
            "pause": "/action?do=pause&topic=orders&channel=billing",
            "not-there": "/topics/nothing",
        }
        # So that charts have something to show.
        time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 45)
        for size, (width, dark) in SIZES.items():
            for name, target in pages.items():
                # Less than any page: a picture is as high as what it shows.
                browser.resize(width, 300, dark)
                browser.open(cluster.url + target)
                browser.screenshot(folder / f"{name}-{size}.png")
                if browser.overflow() > 0:
                    sys.stdout.write(f"{name} is too wide at {width}\n")
        for problem in browser.problems():
            # That page is an answer with status 404, of which the browser complains.
            if f"{pages['not-there']} " not in problem:
                sys.stdout.write(f"{problem}\n")


if __name__ == "__main__":
    main()
