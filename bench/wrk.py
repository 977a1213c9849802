"""Runs wrk on a list of requests, in turn, and reads what it measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.processes import HOST, BenchError, Process, pinned_client

_SCRIPT: Final = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True)
class Get:
    """One request."""

    path: str
    etag: str = ""


@dataclass(frozen=True)
class Load:
    """How hard to ask. `delay_ms`: what each connection waits before its next request."""

    seconds: int
    connections: int = 32
    delay_ms: int = 0


@dataclass(frozen=True)
class Measured:
    """One run. Latencies in ms; `busy` is the share of one core that the server used."""

    rps: float
    p50: float
    p99: float
    errors: int
    busy: float


def run(process: Process, requests: Path, load: Load, headers: Mapping[str, str] | None = None) -> Measured:
    """One run of wrk. Raises BenchError when it could not run."""
    options = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "30s", "-s", str(_SCRIPT)]
    command = ["wrk", *options, f"http://{HOST}:{process.port}", "--", str(requests), str(load.delay_ms)]
    command += [f"{name}={value}" for name, value in (headers or {}).items()]
    before = process.cpu_seconds()
    done = subprocess.run(  # noqa: S603 - our own words only
        pinned_client(command), capture_output=True, text=True, check=False
    )
    line = done.stdout.rpartition("MEASURED ")[2]
    if done.returncode != 0 or not line.startswith("{"):
        raise BenchError(f"wrk failed: {(done.stderr or done.stdout)[-500:]}")
    found: dict[str, Any] = json.loads(line)
    seconds = found["micros"] / 1e6
    busy = (process.cpu_seconds() - before) / seconds
    return Measured(found["requests"] / seconds, found["p50"] / 1e3, found["p99"] / 1e3, found["errors"], busy)


def write_requests(path: Path, requests: list[Get]) -> Path:
    path.write_text("".join(f"{one.path}\t{one.etag}\n" for one in requests))
    return path


def install() -> None:
    """Install wrk with apt where it is missing. Raises BenchError when that is not possible."""
    if shutil.which("wrk") is not None:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "wrk"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchError(f"wrk is missing; as root on Debian or Ubuntu: {' '.join(command)}")
    sys.stderr.write("bench: installing wrk\n")
    if _apt(command) != 0:  # a fresh machine has no package lists
        _apt(["apt-get", "update"])
        _apt(command)
    if shutil.which("wrk") is None:
        raise BenchError("apt-get could not install wrk; its output is above")


def _apt(command: list[str]) -> int:
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", command[0], "-qq", "-o", "DPkg::Lock::Timeout=120", *command[1:]]
    return subprocess.run(  # noqa: S603 - our own words only
        quiet, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    ).returncode
