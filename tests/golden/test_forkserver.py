"""Daemons from the fork server behave like processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.golden.forked import ForkedProcess, ForkServer

PROGRAM = "tests.golden.tinyprogram"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """One server for all tests here."""
    with ForkServer(tmp_path_factory.mktemp("fork")) as running:
        yield running


def start(server: ForkServer, *arguments: str) -> tuple[ForkedProcess, int]:
    """The process and the reading end of its standard error."""
    reading, writing = os.pipe()
    process = server.launch(PROGRAM, arguments, writing)
    os.close(writing)
    return process, reading


def output(reading: int) -> str:
    """All that a process wrote."""
    with os.fdopen(reading) as stream:
        return stream.read()


def test_runs_main_with_its_arguments(server: ForkServer) -> None:
    """main() sees the arguments, its text comes out of our descriptor, its result is the code."""
    process, reading = start(server, "return", "3")
    assert process.wait(10) == 3
    assert output(reading) == "return 3\n"
    assert process.poll() == 3


def test_exit_and_exceptions(server: ForkServer) -> None:
    """sys.exit() sets the code; an exception is shown and gives 1."""
    process, reading = start(server, "exit", "2")
    assert process.wait(10) == 2
    output(reading)
    process, reading = start(server, "raise", "oops")
    assert process.wait(10) == 1
    assert "RuntimeError: oops" in output(reading)


def test_signals(server: ForkServer) -> None:
    """A process that a signal ends has the negative signal for its code."""
    process, reading = start(server, "sleep", "60")
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)
    output(reading)


def test_one_goes_and_the_other_stays(server: ForkServer) -> None:
    """Processes are children of the server, each with its own fate and its own modules."""
    first, reading_first = start(server, "sleep", "60")
    second, reading_second = start(server, "return", "0")
    assert second.wait(10) == 0
    assert first.poll() is None
    assert first.pid != second.pid
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == -signal.SIGTERM
    output(reading_first)
    output(reading_second)
    assert PROGRAM not in sys.modules


def test_a_client_that_leaves_takes_its_process_along(server: ForkServer) -> None:
    """Nothing is left behind when a test run dies: the pipe of the process closes."""
    process, reading = start(server, "sleep", "60")
    # What it prints may come in pieces, but it has begun, and would sleep for a minute.
    assert os.read(reading, 100)
    process.disconnect()
    output(reading)
