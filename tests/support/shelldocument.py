"""Documents with commands: reads what is to be run, and runs it, in order, as it is written.

Comments in a document, which no reader sees, say where the next block goes:

===============================================  ==================================================
comment                                          the block that follows
===============================================  ==================================================
``<!-- terminal NAME -->``                       runs to its end, and must not fail
``<!-- terminal NAME until TEXT -->``            stays; all goes on when it has said a text that
                                                 the regular expression, or the very text, matches
``<!-- terminal NAME on HOST ... -->``           the same on another host than the first
``<!-- terminal NAME eventually -->``            is run again until it does not fail, and says what
                                                 it should
``<!-- terminal NAME from WAY ... -->``          is for those who have installed from that, a
                                                 ``checkout`` or a ``wheel``; others leave it out
``<!-- every terminal -->``                      is the first command in each terminal from here on
``<!-- terminal NAME stop -->``, ``kill``        (no block) Ctrl-C, SIGKILL
``<!-- file NAME -->``                           is the content of a file
``<!-- says -->``                                is in the output of the block before; ``...`` is
                                                 anything
``<!-- terminal NAME says -->``                  is said, or will be, by what stays there
``<!-- not run: REASON -->``                     is left alone
===============================================  ==================================================

What stays in a terminal is ended by Ctrl-C before the next command there, and at the end of the
document. A block of commands without a comment is an error.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from markdown_it import MarkdownIt

from tests.support.networks import NamespaceNetwork

__all__ = ["Step", "Terminals", "run_document", "run_on_hosts", "steps"]

_COMMENT = re.compile(
    r"""<!--\ (?:
        (?P<unrun>not\ run):\ .+
      | file\ (?P<file>\S+)
      | (?P<said>says)
      | (?P<every>every\ terminal)
      | terminal\ (?P<terminal>\w+) (?:\ from\ (?P<way>checkout|wheel))? (?:\ on\ (?P<host>\w+))?
        (?:\ until\ (?P<until>.*?) | \ (?P<word>eventually|stop|kill|says))?
    )\ -->""",
    re.VERBOSE,
)
#: Seconds to wait for what a document promises, on a machine that has other things to do.
PATIENCE = 150.0


@attrs.frozen
class Step:
    """A block, and where it goes; ``line`` is its place in the document."""

    line: int
    text: str
    file: str = ""
    terminal: str = ""
    #: From what the reader has installed for whom it is; empty: for all.
    way: str = ""
    host: str = ""
    until: str = ""
    #: ``eventually``, ``stop``, ``kill``, ``says``, ``every`` or nothing.
    word: str = ""


def steps(path: Path) -> list[Step]:
    """What a document has a reader do.

    :raises ValueError: a comment cannot be understood, or commands have none.
    """
    found: list[Step] = []
    comment: re.Match[str] | None = None
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block":
            for text in token.content.strip().splitlines():
                comment = _COMMENT.fullmatch(text)
                if comment is None:
                    raise ValueError(f"{path.name}:{line}: {text}")
                if comment["word"] in ("stop", "kill"):
                    found.append(Step(line, "", terminal=comment["terminal"], word=comment["word"]))
                    comment = None
        elif token.type in ("fence", "code_block"):
            if comment is None and (token.type == "code_block" or token.info == "sh"):
                raise ValueError(f"{path.name}:{line}: commands that are run nowhere")
            if comment is not None and not comment["unrun"]:
                found.append(_step(line, token.content, comment))
            comment = None
    return found


def _step(line: int, text: str, comment: re.Match[str]) -> Step:
    word = "says" if comment["said"] else "every" if comment["every"] else comment["word"] or ""
    return Step(
        line,
        text,
        comment["file"] or "",
        comment["terminal"] or "",
        comment["way"] or "",
        comment["host"] or "",
        comment["until"] or "",
        word,
    )


class Terminals:
    """Where commands run: a directory, an environment, and a way to other hosts.

    ``before`` has the words in front of a command on a host; the first host's name is empty.
    """

    def __init__(
        self, directory: Path, environment: Mapping[str, str], before: Mapping[str, Sequence[str]]
    ) -> None:
        self.directory = directory
        self._environment = dict(environment)
        self._before = before
        self._staying: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        #: The first command in each terminal.
        self.first = ""
        #: What the last command said that ran to its end.
        self.said = ""

    def _command(self, step: Step) -> list[str]:
        return [*self._before[step.host], "bash", "-e", "-c", self.first + step.text]

    def run(self, step: Step) -> int:
        """Run to the end: the exit code."""
        done = subprocess.run(
            self._command(step),
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        self.said = done.stdout.decode("utf-8", "replace")
        return done.returncode

    def stay(self, step: Step) -> None:
        """Start, and wait for what it is to say first."""
        self.end(step.terminal, signal.SIGINT)
        output = self.directory / f".{step.terminal}-{step.line}.out"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                self._command(step),
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Whoever runs these tests in the background may have it ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self._staying[step.terminal] = process, output
        self._wait(step, step.until)

    def wait_for(self, step: Step) -> None:
        """Wait until what stays in a terminal has said a text."""
        for line in step.text.splitlines():
            self._wait(step, _pattern(line))

    def _wait(self, step: Step, wanted: str) -> None:
        process, output = self._staying[step.terminal]
        until = time.monotonic() + PATIENCE
        while True:
            said = output.read_text("utf-8", "replace")
            if wanted in said or re.search(wanted, said):
                return
            assert process.poll() is None, f"line {step.line}: it ended\n{said}"
            assert time.monotonic() < until, f"line {step.line}: it does not say {wanted}\n{said}"
            time.sleep(0.05)

    def end(self, terminal: str, number: signal.Signals) -> None:
        """Send a signal to what stays in a terminal, and wait for its end."""
        if terminal not in self._staying:
            return
        process, output = self._staying.pop(terminal)
        os.killpg(process.pid, number)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(output.read_text("utf-8", "replace")) from None

    def leave(self) -> None:
        """End all that stays by Ctrl-C, as a reader does who is at the end of a document."""
        for terminal in list(self._staying):
            self.end(terminal, signal.SIGINT)
        self.first = ""

    def close(self) -> None:
        """Kill all that stays."""
        for process, _ in self._staying.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._staying.clear()


def _pattern(line: str) -> str:
    """The regular expression of a line of output, in which ``...`` is anything."""
    return ".*".join(re.escape(part) for part in line.strip().split("..."))


def _says(said: str, wanted: str) -> bool:
    """Whether the lines are in the output, one after the other, with others in between."""
    lines = [_pattern(line) for line in wanted.splitlines() if line.strip()]
    return re.search(".*\n?.*".join(lines), said, re.DOTALL) is not None


def run_document(path: Path, way: str, terminals: Terminals) -> None:
    """Do what a document says to those who install from ``way``."""
    every = [step for step in steps(path) if step.way in ("", way)]
    for step, after in zip(every, [*every[1:], None], strict=True):
        place = f"{path.name}:{step.line}"
        if step.file:
            (terminals.directory / step.file).write_text(step.text, encoding="utf-8")
        elif step.word == "every":
            terminals.first = step.text
        elif step.word in ("stop", "kill"):
            number = signal.SIGINT if step.word == "stop" else signal.SIGKILL
            terminals.end(step.terminal, number)
        elif step.word == "says" and step.terminal:
            terminals.wait_for(step)
        elif step.word == "says":
            assert _says(terminals.said, step.text), f"{place}: what it said was\n{terminals.said}"
        elif step.until:
            terminals.stay(step)
        else:
            wanted = after.text if after and after.word == "says" and not after.terminal else ""
            until = time.monotonic() + (PATIENCE if step.word == "eventually" else 0)
            while True:
                code = terminals.run(step)
                if code == 0 and (step.word != "eventually" or _says(terminals.said, wanted)):
                    break
                assert time.monotonic() < until, f"{place}: exit code {code}\n{terminals.said}"
                time.sleep(0.1)
    terminals.leave()


def run_on_hosts(
    paths: Sequence[Path],
    way: str,
    directory: Path,
    environment: Mapping[str, str],
    network: NamespaceNetwork,
) -> None:
    """Documents, one after the other, on two hosts: 10.0.0.10, and 10.0.0.11, which is ``two``."""
    one, two = network.host("one"), network.host("two")
    assert (one.address, two.address) == ("10.0.0.10", "10.0.0.11")
    before = {
        name: ["ip", "netns", "exec", host.namespace] for name, host in (("", one), ("two", two))
    }
    terminals = Terminals(directory, environment, before)
    try:
        for path in paths:
            run_document(path, way, terminals)
    finally:
        terminals.close()
