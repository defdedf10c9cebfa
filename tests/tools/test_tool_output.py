"""The files that lines go to: opened, rotated, synced, closed, moved."""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import re
from pathlib import Path
from typing import Any

import pytest

from nsqtx.durations import SECOND
from nsqtx.tools.nsq_to_file.filename import file_name
from nsqtx.tools.nsq_to_file.leftovers import recover
from nsqtx.tools.nsq_to_file.members import END
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_file.output import Output, OutputError

FORM = "<TOPIC><REV>.<DATETIME>"


class Files:
    """An output in a directory of its own, and what is in there. Time stands still."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.out = path / "out"
        self.work = path / "work"
        if options.pop("moves", False):
            options["work_dir"] = str(self.work)
        options.setdefault("filename_format", FORM)
        options.setdefault("datetime_format", "%S")
        self.options = NsqToFileOptions(output_dir=str(self.out), **options)
        self.name = file_name(self.options, "t", "h", 1)
        self.now = 0.0
        self.output = self.again()

    def again(self) -> Output:
        """Another output, as after a restart."""
        self.output = Output(self.options, self.name, "[t/c] ", lambda: self.now)
        return self.output

    def take(self, *lines: str, sync: bool = False) -> None:
        """Write these lines."""
        self.output.take([line.encode() for line in lines], sync)

    def recover(self) -> None:
        """What is done at a start."""
        recover(self.options, self.name, "[t/c] ")

    def found(self, directory: Path | None = None) -> dict[str, str]:
        """The files there, with what they hold."""
        directory = directory or self.out
        return {
            path.relative_to(directory).as_posix(): self._read(path)
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }

    @staticmethod
    def _read(path: Path) -> str:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def test_lines_are_there_at_once_and_safe_when_synced(tmp_path: Path) -> None:
    """The first of a file are synced right away."""
    files = Files(tmp_path)
    files.take("a", "b")
    assert files.output.synced == 2
    files.take("c")
    assert (files.output.taken, files.output.synced) == (3, 2)
    assert files.found() == {"t.00": "a\nb\nc\n"}
    files.take(sync=True)
    assert files.output.synced == 3


def test_a_plain_file_is_appended_to(tmp_path: Path) -> None:
    """Also after a restart; a torn line gets an end."""
    files = Files(tmp_path)
    files.out.mkdir()
    (files.out / "t.00").write_text("already here\ntor")
    files.take("a")
    files.output.close()
    files.again().take([b"b"], False)
    assert files.found() == {"t.00": "already here\ntor\na\nb\n"}


def test_gzip_is_complete_at_each_sync(tmp_path: Path) -> None:
    """Between them nothing is in the file that is not."""
    files = Files(tmp_path, gzip=True, gzip_level=9)
    files.take("a")
    files.take("b")
    assert files.found() == {"t-000000.00.gz": "a\n"}
    files.take("c", sync=True)
    assert files.found() == {"t-000000.00.gz": "a\nb\nc\n"}
    files.output.close()
    assert (files.out / "t-000000.00.gz").read_bytes().endswith(END)


def test_the_next_number_after_each_close(tmp_path: Path) -> None:
    """Files that are there are never touched, in exclusive modes."""
    files = Files(tmp_path, gzip=True)
    for line in "abc":
        files.take(line)
        files.output.close()
    files.again().take([b"d"], False)
    assert list(files.found().values()) == ["a\n", "b\n", "c\n", "d\n"]
    files.now = 1
    files.take("e")
    assert files.found()["t-000000.01.gz"] == "e\n"


def test_by_size(tmp_path: Path) -> None:
    """The line that exceeds the limit is the last of its file."""
    files = Files(tmp_path, rotate_size=12)
    files.take("first", "second line", "third")
    files.take("x" * 12)
    assert files.found() == {
        "t-000000.00": "first\nsecond line\n",
        "t-000001.00": "third\n" + "x" * 12 + "\n",
    }
    files.take("y")
    assert files.found()["t-000002.00"] == "y\n"
    assert files.output.synced == 5


def test_by_size_files_with_room_are_used_again(tmp_path: Path) -> None:
    """After a restart: what is full is passed over."""
    files = Files(tmp_path, rotate_size=3)
    files.take("full", "room")
    files.output.close()
    files.out.joinpath("t-000001.00").write_text("r\n")
    files.again().take([b"x"], False)
    assert files.found() == {"t-000000.00": "full\n", "t-000001.00": "r\nx\n"}


def test_by_time(tmp_path: Path) -> None:
    """Both the interval and another name make a new file, noticed at a message or a tick."""
    files = Files(tmp_path, rotate_interval=SECOND // 2)
    files.take("a")
    files.now = 0.6
    files.output.tick()
    files.output.tick()
    assert files.found() == {"t-000000.00": "a\n", "t-000001.00": ""}
    files.now = 1.0
    files.take("b")
    assert files.found()["t-000000.01"] == "b\n"


def test_empty_files(tmp_path: Path) -> None:
    """A tick opens a file, unless empty ones are not wanted; then it only closes."""
    files = Files(tmp_path / "with")
    files.output.tick()
    assert files.found() == {"t.00": ""}
    files = Files(tmp_path / "without", skip_empty_files=True)
    files.output.tick()
    files.take("a")
    files.now = 1
    files.output.tick()
    assert files.found() == {"t.00": "a\n"}


def test_finished_files_are_moved(tmp_path: Path) -> None:
    """The next number is taken when the name is taken, there or here."""
    files = Files(tmp_path, moves=True, filename_format="d/" + FORM)
    files.take("a")
    assert files.found(files.work) == {"d/t-000000.00": "a\n"}
    (files.out / "d/t-000000.00").write_text("mine")
    (files.out / "d/t-000001.00").write_text("mine")
    files.output.close()
    files.take("b")
    assert files.found() == {
        "d/t-000000.00": "mine",
        "d/t-000001.00": "mine",
        "d/t-000002.00": "a\n",
    }
    assert files.found(files.work) == {"d/t-000003.00": "b\n"}


def test_moving_to_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is copied, and appears with its name when it is whole."""
    real = os.link

    def link(source: str, target: str) -> None:
        if "work" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr("nsqtx.tools.nsq_to_file.moving.os.link", link)
    files = Files(tmp_path, moves=True)
    files.take("a")
    (files.out / "t-000000.00").write_text("mine")
    files.output.close()
    assert files.found() == {"t-000000.00": "mine", "t-000001.00": "a\n"}
    assert files.found(files.work) == {}


def test_a_file_that_cannot_be_moved_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next tick. Its lines are safe, wherever it is."""
    files = Files(tmp_path, moves=True, skip_empty_files=True)
    files.take("a")
    with monkeypatch.context() as patched:
        patched.setattr(
            "nsqtx.tools.nsq_to_file.moving.os.link",
            lambda *_: (_ for _ in ()).throw(OSError(13, "no")),
        )
        files.output.close()
    assert files.output.synced == 1
    assert files.found() == {}
    files.output.tick()
    assert files.found() == {"t-000000.00": "a\n"}


class FullDisk:
    """`os.write` that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, descriptor: int, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(descriptor, bytes(data)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("zipped", [False, True])
def test_a_full_disk_leaves_what_was_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    """Half a line, or half a member, is taken back; then it goes on in the same file."""
    files = Files(tmp_path, gzip=zipped)
    files.take("safe")
    with monkeypatch.context() as patched:
        patched.setattr("nsqtx.tools.nsq_to_file.output.os.write", FullDisk(5))
        with pytest.raises(OutputError, match="No space left"):
            files.take("not safe", sync=True)
        with pytest.raises(OutputError, match="No space left"):
            files.take("not safe either", sync=True)
    assert files.output.taken == files.output.synced == 1
    files.take("again", sync=True)
    assert list(files.found().values()) == ["safe\nagain\n"]


def test_a_sync_that_fails_takes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync nobody knows what is on the disk, so it is written again."""
    files = Files(tmp_path)
    files.take("safe")
    files.take("maybe")

    def fdatasync(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("nsqtx.tools.nsq_to_file.output.os.fdatasync", fdatasync)
        with pytest.raises(OutputError, match="Input/output error"):
            files.output.tick()
    assert files.found() == {"t.00": "safe\n"}
    assert files.output.synced == 1


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    """The error names what is in the way, and it works when that is gone."""
    files = Files(tmp_path)
    files.out.write_text("a file")
    with pytest.raises(OutputError, match=re.escape(str(files.out))):
        files.take("a")
    assert files.output.taken == 0
    files.out.unlink()
    files.take("a")
    assert files.found() == {"t.00": "a\n"}


def test_what_others_append_to_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two may share a plain file; then what failed stays, with an end behind it."""
    files = Files(tmp_path)
    files.out.mkdir()
    with open(files.out / "t.00", "ab", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        files.take("safe")
        other.write(b"theirs\n")
        monkeypatch.setattr("nsqtx.tools.nsq_to_file.output.os.write", FullDisk(3))
        with pytest.raises(OutputError):
            files.take("torn")
        monkeypatch.undo()
    files.take("again")
    assert files.found() == {"t.00": "safe\ntheirs\ntor\nagain\n"}


def test_a_numbered_file_in_use_is_passed_over(tmp_path: Path) -> None:
    """Each process has its own."""
    files = Files(tmp_path, moves=True)
    files.take("a")
    other = Output(files.options, files.name, "", lambda: 0.0)
    other.take([b"b"], False)
    assert files.found(files.work) == {"t-000000.00": "a\n", "t-000001.00": "b\n"}


def crash(output: Output) -> None:
    """Let go of its file as a kill does."""
    descriptor = output._descriptor
    assert descriptor is not None
    os.close(descriptor)
    output._descriptor = None


@pytest.mark.parametrize("moves", [False, True])
def test_after_a_crash_a_torn_member_is_cut_off(tmp_path: Path, moves: bool) -> None:
    """What was finished stays readable; with a work directory the file is moved, too."""
    files = Files(tmp_path, gzip=True, moves=moves)
    files.take("safe")
    crash(files.output)
    path = (files.work if moves else files.out) / "t-000000.00.gz"
    with path.open("ab") as file:
        file.write(END[:-3])
    with pytest.raises(EOFError):
        gzip.decompress(path.read_bytes())
    files.recover()
    assert files.found() == {"t-000000.00.gz": "safe\n"}
    files.again().take([b"next"], False)
    assert len(files.found(files.work if moves else files.out)) == (1 if moves else 2)


def test_a_file_in_use_is_left_alone(tmp_path: Path) -> None:
    """By its lock we know."""
    files = Files(tmp_path, gzip=True, moves=True)
    files.take("a")
    files.recover()
    assert files.found() == {}
    assert files.found(files.work) == {"t-000000.00.gz": "a\n"}


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Other topics', other programs', deeper ones."""
    files = Files(tmp_path, gzip=True)
    files.out.mkdir()
    (files.out / "deeper").mkdir()
    torn = gzip.compress(b"x")[:-1]
    for name in ("t-000000.00.gz", "other-000000.00.gz", "deeper/t-000000.00.gz"):
        (files.out / name).write_bytes(torn)
    files.recover()
    assert all(path.read_bytes() == torn for path in files.out.rglob("*.gz"))


def test_an_empty_leftover_goes(tmp_path: Path) -> None:
    """It holds nothing, so it is no finished file."""
    files = Files(tmp_path, moves=True)
    files.work.mkdir()
    files.work.joinpath("t-000004.00").touch()
    files.recover()
    assert files.found(files.work) == files.found() == {}


def test_a_move_that_a_crash_interrupted(tmp_path: Path) -> None:
    """The file has both names then, and is not moved twice."""
    files = Files(tmp_path, moves=True)
    files.take("a")
    crash(files.output)
    os.link(files.work / "t-000000.00", files.out / "t-000000.00")
    files.recover()
    assert files.found() == {"t-000000.00": "a\n"}
    assert files.found(files.work) == {}


def test_a_file_that_is_taken_away_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look for files of crashes just then; the next number is taken."""
    files = Files(tmp_path, moves=True)
    lock = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        files.recover()
        lock(descriptor, operation)

    monkeypatch.setattr("nsqtx.tools.nsq_to_file.output.fcntl.flock", flock)
    files.take("a")
    assert files.found(files.work) == {"t-000001.00": "a\n"}
