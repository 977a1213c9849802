"""How long a user waits for catalog-cli: the whole process, from its start to its end."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path
from typing import Final

from bench.footprint import SAMPLE_SOURCES
from bench.processes import HOST, BenchError, Launch, product_bin, serving
from bench.report import Row, progress
from bench.stores import fresh_database

STARTS: Final = 20
STATIC_SECONDS: Final = 0.150
CALL_SECONDS: Final = 0.400
COMMANDS: Final = (
    ("help", ("--help",), STATIC_SECONDS),
    ("a command that asks nobody", ("version", "--client"), STATIC_SECONDS),
    ("a call", ("plugins", "list"), CALL_SECONDS),
    ("a call of a plugin, seen before", ("mcp", "mcpservers", "list"), CALL_SECONDS),
    ("a call of a plugin, not seen before", ("mcp", "mcpservers", "list", "--no-cache"), CALL_SECONDS),
)


def measure_client(database: str, scratch: Path) -> list[Row]:
    """Starts of the client beside a server with the sample catalog, as they are felt: wall clock."""
    rows = []
    with fresh_database(database) as dsn:
        launch = Launch(SAMPLE_SOURCES, scratch / f"client-{database}", dsn, pinned=False)
        with serving(launch) as process:
            process.await_ready()
            environ = {"HOME": str(scratch), "CATALOG_SERVER": f"http://{HOST}:{process.port}"}
            for name, words, limit in COMMANDS:
                seconds = [_run(words, environ) for _ in range(STARTS + 1)][1:]  # the first one fills caches
                middle = statistics.median(seconds)
                progress(f"  catalog-cli, {name}: {middle:.3f} s")
                note = f"{min(seconds):.3f} to {max(seconds):.3f}"
                rows.append(Row(f"catalog-cli: {name}", database, 0, middle, "s", limit, note))
    return rows


def _run(words: tuple[str, ...], environ: dict[str, str]) -> float:
    started = time.perf_counter()
    done = subprocess.run([product_bin() / "catalog-cli", *words], env=environ, capture_output=True, check=False)  # noqa: S603 - our own program
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"catalog-cli {' '.join(words)}: {done.stderr.decode().strip()}")
    return seconds
