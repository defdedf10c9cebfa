"""One load process: writers or readers on raw sockets that cost little per message.

``python -m bench.load '<JSON>'`` does what the JSON says (`bench.jobs`) and prints as JSON the
seconds it took, and percentiles of single commands in microseconds where they were measured.
"""

from __future__ import annotations

import json
import sys

from bench.consumers import consume, steady
from bench.jobs import Consume, HttpPublish, Job, Publish, decode
from bench.latency import percentiles
from bench.publishers import Taken, publish, publish_http

__all__: list[str] = []


def do(job: Job) -> Taken:
    """Do it."""
    if isinstance(job, Publish):
        return publish(job)
    if isinstance(job, HttpPublish):
        return publish_http(job)
    if isinstance(job, Consume):
        return consume(job)
    return steady(job)


def main(text: str) -> None:
    """Do the job and print how long it took."""
    seconds, each = do(decode(text))
    print(json.dumps({"seconds": seconds, "latency": percentiles(each)}))


if __name__ == "__main__":
    main(sys.argv[1])
