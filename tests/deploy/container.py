"""``python -m tests.deploy.container``: builds the container image, runs it, and checks it.

By hand, since it takes a minute or two, and docker or podman, which `.ci/run` does not install::

    python -m tests.deploy.container                            # with docker, and its registry
    python -m tests.deploy.container --engine podman --base-from-debian

The second makes the base image itself, of Debian's packages (`mmdebstrap`), where no registry can
be reached. More options for ``build`` and ``run`` can be given, as ``--run=--cgroups=disabled``.
Exit code 0: all is as it should be. Containers, volume and the image ``nsqtx-check`` are gone then.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
FILE = "deploy/container/Containerfile"
IMAGE = "nsqtx-check"
VOLUME = "nsqtx-check-data"
#: What Kubernetes does with it, by the example: nothing may be written but the volume.
STRICT = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
#: A request from within a container: method, URL, body.
ASK = """
import sys, urllib.request
method, url, body = sys.argv[1:]
asked = urllib.request.Request(url, body.encode() or None, method=method)
sys.stdout.write(urllib.request.urlopen(asked, timeout=5).read().decode())
"""
MESSAGES = 100


def say(line: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def health_check() -> list[str]:
    """The command that the container file names."""
    (found,) = re.findall(r"CMD (\[.*ping.*\])", (ROOT / FILE).read_text("utf-8"))
    command: list[str] = json.loads(found)
    return command


@attrs.frozen
class Engine:
    """docker, or what has its commands."""

    command: list[str]
    build_options: list[str]
    run_options: list[str]

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine."""
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True)
        if check and done.returncode:
            sys.exit(f"{shlex.join(done.args)}: exit code {done.returncode}\n{done.stderr}")
        return done

    def run(self, name: str, command: Sequence[str], *options: str) -> None:
        """Start a container that stays."""
        self("run", "-d", "--name", name, *STRICT, *self.run_options, *options, IMAGE, *command)

    def once(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command in a container of its own."""
        options = ("--rm", "--network=none", *STRICT, *self.run_options)
        return self("run", *options, IMAGE, *command, check=check)

    def ask(self, name: str, method: str, url: str, body: str = "") -> str:
        """A request from within a container; what is answered."""
        return self("exec", name, "python", "-c", ASK, method, url, body).stdout

    def pings(self, name: str) -> bool:
        """Whether the health check of the image is content with a container."""
        return self("exec", name, *health_check(), check=False).returncode == 0

    def stop(self, name: str) -> tuple[float, int]:
        """SIGTERM, and SIGKILL 10 s later; the seconds that it took, and the exit code."""
        before = time.monotonic()
        self("stop", "-t", "10", name)
        code = self("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
        return time.monotonic() - before, int(code)

    def remove(self) -> None:
        """All that is made here."""
        for name in ("nsqlookupd", "nsqd", "nsqadmin"):
            self("rm", "-f", f"{IMAGE}-{name}", check=False)
        self("volume", "rm", "-f", VOLUME, check=False)


def base_image() -> str:
    """Its name."""
    (name,) = set(re.findall(r"^FROM (\S+)", (ROOT / FILE).read_text("utf-8"), re.MULTILINE))
    return str(name)


def make_base(engine: Engine) -> None:
    """An image under the name of the base image: Debian with a Python, from Debian's packages."""
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "base.tar"
        packages = "--include=python3,python3-venv,ca-certificates"
        hook = "--customize-hook=ln -s /usr/bin/python3 $1/usr/local/bin/python"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, hook, "trixie"]
        subprocess.run([*command, str(archive)], check=True)
        engine("import", str(archive), base_image())
    say(f"made {base_image()} of Debian's packages")


def build(engine: Engine) -> None:
    """The image, of what is committed."""
    with tempfile.TemporaryDirectory() as directory:
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "x", "-C", directory], input=archive.stdout, check=True)
        engine("build", *engine.build_options, "-t", IMAGE, "-f", f"{directory}/{FILE}", directory)
    say("built")


def check_programs(engine: Engine) -> None:
    """Who runs them, and that each starts, by the original's paths too."""
    assert engine.once("id", "-u").stdout.strip() == "10001"
    for program in ("nsqd", "nsqlookupd", "nsqadmin", "nsq_stat", "nsq_to_file"):
        for command in (program, f"/{program}"):
            assert re.match(rf"{program} v?\d", engine.once(command, "--version").stdout), command
    assert engine.once(*health_check(), check=False).returncode == 1
    say("user 10001; every program starts; the health check fails where nobody listens")


def check_cluster(engine: Engine) -> None:
    """nsqlookupd, nsqd by the original's flags, and nsqadmin, on a network that only they have."""
    nsqlookupd, nsqd, nsqadmin = (f"{IMAGE}-{each}" for each in ("nsqlookupd", "nsqd", "nsqadmin"))
    flags = ["--broadcast-address=127.0.0.1", "--lookupd-tcp-address=127.0.0.1:4160"]
    together = f"--network=container:{nsqlookupd}"

    def start_nsqd() -> None:
        engine.run(nsqd, ["nsqd", *flags], together, f"--volume={VOLUME}:/data")

    def depth() -> int:
        asked = "http://127.0.0.1:4151/stats?format=json&topic=t"
        (topic,) = json.loads(engine.ask(nsqd, "GET", asked))["topics"]
        (channel,) = topic["channels"]
        return int(channel["depth"])

    ping = "--env=NSQTX_PING=http://127.0.0.1:{}/ping".format
    engine.run(nsqlookupd, ["nsqlookupd"], "--network=none", ping(4161))
    eventually(lambda: engine.pings(nsqlookupd), lambda: engine("logs", nsqlookupd).stderr)
    start_nsqd()
    eventually(lambda: engine.pings(nsqd), lambda: engine("logs", nsqd).stderr)
    lookup = "--lookupd-http-address=127.0.0.1:4161"
    engine.run(nsqadmin, ["/nsqadmin", lookup], together, ping(4171))
    eventually(lambda: engine.pings(nsqadmin), lambda: engine("logs", nsqadmin).stderr)
    say("the health check is content with all three")

    engine.ask(nsqd, "POST", "http://127.0.0.1:4151/topic/create?topic=t")
    engine.ask(nsqd, "POST", "http://127.0.0.1:4151/channel/create?topic=t&channel=c")
    bodies = "\n".join(f"message {number}" for number in range(MESSAGES))
    engine.ask(nsqd, "POST", "http://127.0.0.1:4151/mpub?topic=t", bodies)
    found = json.loads(engine.ask(nsqd, "GET", "http://127.0.0.1:4161/lookup?topic=t"))
    assert [each["broadcast_address"] for each in found["producers"]] == ["127.0.0.1"]
    assert '"t"' in engine.ask(nsqd, "GET", "http://127.0.0.1:4171/api/topics")
    say("nsqlookupd and nsqadmin know the topic")

    seconds, code = engine.stop(nsqd)
    assert code == 0, code
    assert seconds < 8, seconds
    say(f"nsqd stops by SIGTERM within {seconds:.1f} s, exit code 0")
    engine("start", nsqd)
    eventually(lambda: engine.pings(nsqd), lambda: engine("logs", nsqd).stderr)
    assert depth() == MESSAGES
    engine("rm", "-f", nsqd)
    start_nsqd()
    eventually(lambda: engine.pings(nsqd), lambda: engine("logs", nsqd).stderr)
    assert depth() == MESSAGES
    say("the volume keeps the messages, over a restart and after `rm -f` for a new container")
    for name in (nsqadmin, nsqd, nsqlookupd):
        seconds, code = engine.stop(name)
        assert code == 0, (name, code)
        say(f"{name} stopped within {seconds:.1f} s")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.container")
    parser.add_argument(
        "--engine", default="docker", help="docker, podman, or a command with options"
    )
    parser.add_argument("--base-from-debian", action="store_true", help="make the base image")
    parser.add_argument("--build", action="append", default=[], help="an option for build")
    parser.add_argument("--run", action="append", default=[], help="an option for run")
    given = parser.parse_args()
    engine = Engine(shlex.split(given.engine), given.build, given.run)
    engine.remove()
    try:
        if given.base_from_debian:
            make_base(engine)
        build(engine)
        check_programs(engine)
        check_cluster(engine)
    finally:
        engine.remove()
        engine("rmi", "-f", IMAGE, check=False)
        if given.base_from_debian:
            engine("rmi", "-f", base_image(), check=False)
    say("all is well")


if __name__ == "__main__":
    main()
