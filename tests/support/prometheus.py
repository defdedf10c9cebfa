"""A real Prometheus that scrapes what a test runs, every second, and is asked by its HTTP API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import pytest

from tests.support.blockinghttp import get
from tests.support.waiting import eventually

__all__ = ["Prometheus", "promtool"]

_LISTENING = re.compile(r'msg="Listening on" address=127\.0\.0\.1:(\d+)')


def promtool(*arguments: str) -> str:
    """Run promtool, which Debian's package ``prometheus`` has; what it says."""
    program = shutil.which("promtool") or pytest.fail("apt-get install prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """Scrapes these jobs, and evaluates rules; a context manager, which ends the process.

    :param path: an empty directory for what it keeps.
    :param jobs: ``host:port`` of what is scraped, by the names of jobs.
    :param rules: the file with alert rules.
    """

    def __init__(self, path: Path, jobs: Mapping[str, Sequence[str]], rules: Path) -> None:
        program = shutil.which("prometheus") or pytest.fail("apt-get install prometheus")
        configuration = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": list(targets)}]}
                for name, targets in jobs.items()
            ],
        }
        file = path / "prometheus.yaml"
        # JSON is YAML, too.
        file.write_text(json.dumps(configuration), encoding="utf-8")
        self._log = path / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={path / 'tsdb'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            eventually(lambda: _LISTENING.search(self.log) or not self.running, lambda: self.log)
            found = _LISTENING.search(self.log)
            assert found is not None, self.log
            self._address = ("127.0.0.1", int(found[1]))
            eventually(lambda: get(self._address, "/-/ready")[0] == 200, lambda: self.log)
        except BaseException:
            self.kill()
            raise

    @property
    def log(self) -> str:
        """All that it said."""
        return self._log.read_text("utf-8", "replace")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """What it keeps is of no use any more."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _api(self, path: str, **parameters: str) -> Any:
        status, body = get(self._address, f"/api/v1/{path}?{urlencode(parameters)}")
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: labels and value of each series.

        :raises AssertionError: it is no expression.
        """
        data = self._api("query", query=expression)
        assert data["resultType"] == "vector"
        result: list[dict[str, Any]] = data["result"]
        return result

    def label_values(self, figure: str, label: str) -> list[str]:
        """What Grafana's ``label_values(figure, label)`` is."""
        values: list[str] = self._api(f"label/{label}/values", **{"match[]": figure})
        return values

    def rules(self) -> list[dict[str, Any]]:
        """The alert rules, with how each of them fares."""
        return [rule for group in self._api("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are pending or firing."""
        alerts: list[dict[str, Any]] = self._api("alerts")["alerts"]
        return alerts
