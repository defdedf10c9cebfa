"""The original's benchmark programs: flags, lines, what they do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from bench import bench_channels, bench_reader, bench_writer
from bench.original import result_line, wait_for_deadline
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]
#: As the scripts that come with the original cut it.
LINE = re.compile(
    r"\[(bench_\w+)\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d duration: ([\d.]+)(m?)s - ([\d.]+)mb/s - "
    r"([\d.]+)ops/s - (\S+)us/op\n"
)


def test_the_line_of_figures() -> None:
    """As the original writes it; without any message nothing is divided."""
    assert result_line(1.00037608, 199_130, 200) == (
        "duration: 1.00037608s - 37.967mb/s - 199055.139ops/s - 5.024us/op"
    )
    assert result_line(10.0, 0, 200) == "duration: 10s - 0.000mb/s - 0.000ops/s - +Infus/op"


def test_a_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """It is waited for, unless it is over."""
    wait_for_deadline("p", "2001-02-03 04:05:06")
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"\[p\] \S+ \S+ sleeping until 2001-02-03 04:05:06 \+0000 UTC \(-.*s\)\n", said
    )
    soon = datetime.now(UTC) + timedelta(seconds=1)
    before = time.monotonic()
    wait_for_deadline("p", f"{soon:%Y-%m-%d %H:%M:%S}")
    assert time.monotonic() - before < 1.5
    assert datetime.now(UTC) >= soon.replace(microsecond=0)
    with pytest.raises(SystemExit) as ended:
        wait_for_deadline("p", "tomorrow")
    assert ended.value.code == 1


@pytest.fixture(scope="module")
def nsqd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One nsqd."""
    with Daemon(tmp_path_factory.mktemp("data")) as daemon:
        yield daemon


def address(nsqd: Daemon) -> str:
    """Where it is."""
    return f"-nsqd-tcp-address=127.0.0.1:{nsqd.tcp_port}"


def test_writer_and_reader(nsqd: Daemon, capfd: pytest.CaptureFixture[str]) -> None:
    """What one has published the other consumes, from all connections."""
    post(nsqd.http, "/topic/create?topic=sub_bench")
    post(nsqd.http, "/channel/create?topic=sub_bench&channel=ch")
    assert bench_writer.main([address(nsqd), "-runfor=200ms", "-size=100", "-batch-size=50"]) == 0
    written = LINE.fullmatch(capfd.readouterr().err)
    assert written is not None
    assert written[1] == "bench_writer"
    assert bench_reader.main([address(nsqd), "-runfor=500ms", "-rdy=100"]) == 0
    read = LINE.fullmatch(capfd.readouterr().err)
    assert read is not None
    counts = [
        round(float(each[2]) * float(each[5]) / (1000 if each[3] else 1))
        for each in (written, read)
    ]
    _, body = get(nsqd.http, "/stats?topic=sub_bench")
    published = int(re.search(rb"msgs: (\d+)", body)[1])  # type: ignore[index]
    assert counts[0] == pytest.approx(published, abs=2)
    assert 0 < counts[1] <= published + 2


def test_what_the_server_refuses_ends_it(nsqd: Daemon, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, no figures."""
    assert bench_writer.main([address(nsqd), "-topic=a:b"]) == 2
    assert "E_BAD_TOPIC" in capfd.readouterr().err
    assert bench_writer.main(["-nsqd-tcp-address=127.0.0.1:1"]) == 2
    assert "refused" in capfd.readouterr().err


@pytest.mark.parametrize("program", [bench_writer, bench_reader, bench_channels])
def test_flags(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Go's syntax; there is no -version."""
    for flag, code in (("-h", 0), ("-version", 2), ("-num=x", 2)):
        with pytest.raises(SystemExit) as ended:
            program.main([flag])
        assert ended.value.code == code
        assert f"Usage of {program.PROGRAM}:\n" in capsys.readouterr().err


def test_many_channels(nsqd: Daemon) -> None:
    """Each connection has a topic of its own and finishes what comes, until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bench_channels", "-num=5", address(nsqd)], cwd=ROOT
    )
    try:
        end = time.monotonic() + 20
        while b'"client_id":"test"' not in get(nsqd.http, "/stats?format=json&topic=t4")[1]:
            assert time.monotonic() < end
            time.sleep(0.02)
        post(nsqd.http, "/mpub?topic=t4", b"a\nb\nc\n")
        while b'"finish_count":3' not in get(nsqd.http, "/stats?format=json&topic=t4")[1]:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
