"""A server for the tests of a plugin package: the installed one, on an address of its own, gone afterwards.

Packages that `catalog-gen init` has written import this: `serving` and its parameters stay.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0


@contextmanager
def serving(sources: Path, data: Path) -> Iterator[str]:
    """Start catalog-server on a sources file, with its data in `data`; yield its URL when it is ready.

    Raises:
        RuntimeError: it ends instead, or is not ready in time; the message has what it wrote.
    """
    log = data / "server.log"
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "catalog_server.cli.server", "--listen=127.0.0.1:0", f"--sources={sources}"]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            ["/usr/bin/env", f"CATALOG_DATA_DIR={data}", "CATALOG_LOG_FORMAT=json", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _wait(process, log)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _wait(process: subprocess.Popen[bytes], log: Path) -> str:
    pause = threading.Event()
    for _ in range(int(_START_SECONDS * 10)):
        lines = [
            json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")
        ]
        if any(line.get("event") == "ready" for line in lines):
            return str(next(line["address"] for line in lines if line.get("event") == "listening"))
        if process.poll() is not None:
            break
        pause.wait(0.1)
    raise RuntimeError(f"the server is not ready:\n{log.read_text()}")
