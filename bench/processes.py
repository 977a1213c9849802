"""The processes of a measurement: the server, the calibration beside it, and what the system says of their memory."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
HOST: Final = "127.0.0.1"
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_TICK: Final = os.sysconf("SC_CLK_TCK")
READY_SECONDS: Final = 120.0
STOP_SECONDS: Final = 30.0


class BenchError(Exception):
    """Something could not be measured."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one process. `anonymous` is what the system cannot take back."""

    total: int
    anonymous: int
    file: int
    peak: int


@dataclass(frozen=True)
class Process:
    """A running server."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path
    launched: float
    """Of time.perf_counter()."""

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers (lower-case names) and body of one GET."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get_json(self, path: str) -> Any:
        status, _, body = self.get(path)
        if status != 200:
            raise BenchError(f"{path} answered {status}: {body[:200]!r}")
        return json.loads(body)

    def post_json(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer to a POST, as an operator."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request("POST", path, payload, {"X-User-Role": "operator", **(headers or {})})
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 202):
            raise BenchError(f"{path} answered {answer.status}: {found[:200]!r}")
        return json.loads(found)

    @property
    def age(self) -> float:
        """Seconds since it was launched."""
        return time.perf_counter() - self.launched

    def is_ready(self, path: str = "/readyz") -> bool:
        """Whether `path` answers 200. Raises BenchError when the process has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"the server ended with status {self.popen.returncode}; see {self.log}")
        try:
            return self.get(path)[0] == 200
        except OSError:
            return False

    def await_ready(self, path: str = "/readyz") -> float:
        """Wait until it is ready; return its age then."""
        pause = Event()
        while not self.is_ready(path):
            if self.age > READY_SECONDS:
                raise BenchError(f"not ready after {READY_SECONDS:.0f} s; see {self.log}")
            pause.wait(0.005)
        return self.age

    def memory(self) -> Memory:
        held = _read_memory(str(self.popen.pid))
        return Memory(held["VmRSS"], held["RssAnon"] + held["RssShmem"], held["RssFile"], held["VmHWM"])

    def family_anonymous(self) -> int:
        """Anonymous bytes of the process and of those that it started, which share a container's limit."""
        pid = self.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(_anonymous(one) for one in (str(pid), *children))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@dataclass(frozen=True)
class Launch:
    """How to start the server. `dsn` None: the embedded database in `data`."""

    sources: Path
    data: Path
    dsn: str | None = None
    cache: bool = True
    pinned: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further settings."""


@cache
def product_bin() -> Path:
    """The commands of the product in an environment that holds what it is shipped with, and no tools of developers."""
    environment = ROOT / ".data" / "bench" / "product"
    uv = [str(Path(sys.executable).parent / "uv"), "sync", "--frozen", "--no-dev", "--quiet", "--compile-bytecode"]
    command = ["env", f"UV_PROJECT_ENVIRONMENT={environment}", *uv]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own words only
    return environment / "bin"


@contextmanager
def serving(launch: Launch) -> Iterator[Process]:
    """The product, with its access log written to a file."""
    launch.data.mkdir(parents=True, exist_ok=True)
    variables = {
        "CATALOG_DATA_DIR": launch.data,
        "CATALOG_MAX_FILE_BYTES": MAX_FILE_BYTES,
        "CATALOG_LOG_FORMAT": "json",
        **({} if launch.cache else {"CATALOG_RESPONSE_CACHE_BYTES": 0}),
        **launch.variables,
    }
    port = free_port()
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), *(_pin(0) if launch.pinned else [])]
    command += [str(product_bin() / "catalog-server"), f"--listen={HOST}:{port}", f"--sources={launch.sources}"]
    if launch.dsn is not None:
        command.append(f"--db-dsn={launch.dsn}")
    with _running(command, port, launch.data / "server.log") as process:
        yield process


@contextmanager
def calibrating(body_bytes: int, log: Path) -> Iterator[Process]:
    """The raw ASGI function, pinned like the server."""
    port = free_port()
    command = [*_pin(0), sys.executable, "-m", "bench.calibration", str(port), str(body_bytes)]
    with _running(command, port, log) as process:
        process.await_ready("/")
        yield process


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[Process]:
    with log.open("wb") as output:
        launched = time.perf_counter()
        popen = subprocess.Popen(  # noqa: S603 - our own programs
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    process = Process(popen, port, log, launched)
    try:
        yield process
    finally:
        process.stop()


def _read_memory(pid: str) -> dict[str, int]:
    parts = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: 1024 * int(value.split()[0]) for key, _, value in parts if value.endswith(" kB")}


def _anonymous(pid: str) -> int:
    try:
        return _read_memory(pid).get("RssAnon", 0)
    except OSError:  # it has just ended
        return 0


def pinned_client(command: list[str]) -> list[str]:
    """`command` on the core that the servers do not use."""
    return [*_pin(1), *command]


def _pin(which: int) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(cores[which])]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
