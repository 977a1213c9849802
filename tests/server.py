"""Starts the real `catalog-server` as a process of its own, and stops it as Kubernetes would: with SIGTERM.

The server picks a free port itself (`--listen=127.0.0.1:0`) and says in its log which one it is, so that tests that run
side by side never meet.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "catalog/config/sources.yaml"
COMMAND = (sys.executable, "-m", "catalog_server.cli.server")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
FOREVER_SECONDS = 3600.0
"""Longer than a test may take: what waits so long, and should not, is found by that limit."""
T = TypeVar("T")


def wait_until(what: str, probe: Callable[[], T], seconds: float = 5.0) -> T:
    """The first true answer of `probe`, asked again and again; the test fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}; last answer: {found!r}"
        time.sleep(0.03)


def server_environ(data_dir: Path, **variables: str) -> dict[str, str]:
    """The environment of a server: what a process needs, and nothing that happens to be set here."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "CATALOG_DATA_DIR": str(data_dir), "CATALOG_LOG_FORMAT": "json", **variables}


class RunningServer:
    """One server process. `client` asks it without following redirects and without retrying."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, errors: Path) -> None:
        self.process = process
        self._log = log
        self._errors = errors
        self.url = ""
        self.is_killed = False
        self.client = httpx.Client(timeout=30, trust_env=False)

    @property
    def output(self) -> str:
        """All that it wrote, standard error last."""
        return self._log.read_text(errors="replace") + self._errors.read_text(errors="replace")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The finished lines of its log."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Log lines of this event that have all these fields."""
        wanted = {"event": event, **fields}.items()
        return [line for line in self.lines if wanted <= {k: v for k, v in line.items() if k in dict(wanted)}.items()]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(self.url + path, **options)

    def json(self, path: str, **parameters: str) -> Any:
        """The body of a successful answer."""
        response = self.get(path, params=parameters or None)
        assert response.status_code == 200, f"{response.url}: {response.status_code} {response.text}"
        return response.json()

    def names(self, path: str, **parameters: str) -> list[str]:
        """Names of the entities of one page, in order."""
        return [item["name"] for item in self.json(path, **parameters)["items"]]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        response = self.get("/readyz")
        return response.status_code, response.json()

    def wait_for_address(self) -> None:
        self.url = str(wait_until("the address", self._address, START_SECONDS))

    def wait_for_ready(self, seconds: float = START_SECONDS) -> None:
        wait_until("readiness", lambda: self.alive() and self.readiness()[0] == 200, seconds)

    def alive(self) -> bool:
        status = self.process.poll()
        assert status is None, f"the server ended with {status}:\n{self.output}"
        return True

    def _address(self) -> str | None:
        self.alive()
        found = re.search(r"""\baddress\W{1,4}(http://[^\s"']+)(?=["'\s])""", self.output)
        return found[1] if found else None

    def wait_for_kill(self) -> None:
        """It ends by SIGKILL, as the test has arranged."""
        self.client.close()
        status = self.process.wait(STOP_SECONDS)
        assert status == -signal.SIGKILL, f"exit status {status}:\n{self.output}"
        self.is_killed = True

    def stop(self) -> None:
        """SIGTERM. It must end by itself, with status 0, and without a traceback in all its life."""
        if self.is_killed:
            return
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped after {STOP_SECONDS} s:\n{self.output}") from None
        assert status == 0, f"exit status {status}:\n{self.output}"
        assert "Traceback" not in self.output, self.output

    def kill(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        self.is_killed = True


@contextmanager
def running(
    data_dir: Path,
    sources: Path | Sequence[Path] = SAMPLE,
    *arguments: str,
    wait: bool = True,
    cwd: Path | None = None,
    command: Sequence[str] = COMMAND,
    **variables: str,
) -> Iterator[RunningServer]:
    """A server on these sources files; by default with the embedded database in `data_dir`.

    `wait`: until it is ready, else only until its socket is open. `command`: what starts it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    files = [sources] if isinstance(sources, Path) else list(sources)
    log, errors = (_fresh(data_dir, name) for name in ("stdout.log", "stderr.log"))
    with log.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "--listen=127.0.0.1:0", *(f"--sources={file}" for file in files), *arguments],
            env=server_environ(data_dir, **variables),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd or data_dir,
        )
    server = RunningServer(process, log, errors)
    try:
        server.wait_for_address()
        if wait:
            server.wait_for_ready()
        yield server
    except BaseException:
        server.kill()
        raise
    server.stop()


def run_to_end(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    data_dir.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [*COMMAND, *arguments],
        env=server_environ(data_dir, **variables),
        capture_output=True,
        text=True,
        cwd=data_dir,
        timeout=START_SECONDS,
        check=False,
    )


def without_keys(value: Any, keys: Mapping[str, Any] | Sequence[str]) -> Any:
    """A JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: without_keys(one, keys) for key, one in value.items() if key not in keys}
    return [without_keys(one, keys) for one in value] if isinstance(value, list) else value


def _fresh(folder: Path, name: str) -> Path:
    """A file name that no earlier server of the same folder has used."""
    number = len(list(folder.glob(f"*{name}")))
    return folder / f"{number}-{name}"
