"""``python -m tests.fuzz TARGET --seconds N``: lets a fuzzer loose on one of our parsers.

The fuzzer is atheris (the extra ``fuzz``), which watches what code of ours an input reaches, and
goes on from those that reach more. It ends with exit code 1, and the input in a file, when one
breaks a property. Without it::

    python -m tests.fuzz TARGET --made-up 100000    # inputs made at random
    python -m tests.fuzz TARGET --input FILE        # one again
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

#: Longest input, bytes: enough for several commands or requests.
MAX_LENGTH = 2048


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.fuzz")
    made.add_argument("target", help="one of: " + ", ".join(load()))
    made.add_argument("--seconds", type=int, default=300, help="how long (%(default)s)")
    made.add_argument("--corpus", type=Path, help="directory for inputs that reach more, kept")
    made.add_argument("--artifacts", type=Path, default=Path(), help="directory for findings")
    made.add_argument("--made-up", type=int, metavar="COUNT", help="without atheris: random inputs")
    made.add_argument("--input", type=Path, metavar="FILE", help="without atheris: this input")
    return made


def load() -> dict[str, Target]:
    """All targets. What they import is instrumented if this is called while atheris looks."""
    targets: dict[str, Target] = importlib.import_module("tests.fuzz.targets").TARGETS
    return targets


def fuzz(name: str, seconds: int, corpus: Path, artifacts: Path) -> None:
    """Fuzz until the time is over, or something is found; the process ends then."""
    import atheris

    target = load()[name]
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.parent / f"{name}.dict"
    lines = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{line}"\n' for line in lines), encoding="ascii")
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-dict={words}",
        f"-artifact_prefix={artifacts}/{name}-",
        # Of one input. So long, since a fuzzer may have been stopped for a while.
        "-timeout=300",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.check)
    atheris.Fuzz()


def main() -> None:
    """See above."""
    quick = {"--made-up", "--input", "-h", "--help"} & {each.split("=")[0] for each in sys.argv}
    looking: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if not quick:
        import atheris

        looking = atheris.instrument_imports(include=["nsqtx"])
    with looking:
        targets = load()
    given = parser().parse_args()
    if given.target not in targets:
        sys.exit(f"there is no target {given.target}: " + ", ".join(targets))
    if given.input is not None:
        targets[given.target].check(given.input.read_bytes())
    elif given.made_up is not None:
        from tests.fuzz.madeup import made_up

        for data in made_up(targets[given.target], given.made_up):
            targets[given.target].check(data)
    else:
        with tempfile.TemporaryDirectory() as directory:
            corpus = given.corpus or Path(directory) / given.target
            fuzz(given.target, given.seconds, corpus, given.artifacts)


if __name__ == "__main__":
    main()
