"""What the server needs apart from requests: memory, time to start, time to build an index."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Final

from bench.processes import ROOT, BenchError, Launch, Process, serving
from bench.report import Row, progress
from bench.stores import Store, fresh_database

SAMPLE_SOURCES: Final = ROOT / "catalog" / "config" / "sources.yaml"
SETTLE_SECONDS: Final = 5.0
STARTS: Final = 5
INDEX_LOADS: Final = 3
MB: Final = 1e6
MIB: Final = 2**20
LIMIT_MIB: Final = 512.0  # the container's, in the shipped manifests


def measure_start(database: str, scratch: Path) -> list[Row]:
    """Cold start on a migrated database with the sample catalog, then the memory of the idle server."""
    seconds, cpu_seconds = [], []
    with fresh_database(database) as dsn:
        launch = Launch(SAMPLE_SOURCES, scratch / f"sample-{database}", dsn, pinned=False)
        with serving(launch) as process:
            process.await_ready()
        for _ in range(STARTS):
            with serving(launch) as process:
                seconds.append(process.await_ready())
                cpu_seconds.append(process.cpu_seconds())
        with serving(launch) as process:
            process.await_ready()
            Event().wait(SETTLE_SECONDS)
            memory = process.memory()
    progress(f"  starts: {', '.join(f'{one:.3f}' for one in seconds)} s; idle {memory.total / MB:.1f} MB")
    times = f"{min(seconds):.2f} to {max(seconds):.2f}; CPU {statistics.median(cpu_seconds):.2f}"
    parts = f"anonymous {memory.anonymous / MB:.1f}, files {memory.file / MB:.1f}, peak {memory.peak / MB:.1f}"
    return [
        Row("cold start to ready, sample catalog", database, 0, statistics.median(seconds), "s", 1.5, times),
        Row("idle RSS, sample catalog", database, 0, memory.total / MB, "MB", 100.0, parts),
    ]


def measure_memory(store: Store, process: Process, moment: str) -> Row:
    """Memory of a server with a whole catalog. The limit is on what the system cannot take back."""
    Event().wait(SETTLE_SECONDS)
    held = process.memory()
    rss, file, peak = (size / MIB for size in (held.total, held.file, held.peak))
    note = f"RSS {rss:.0f}, of which files (reclaimable) {file:.0f}; peak RSS {peak:.0f}"
    name = f"memory {moment}, anonymous"
    return Row(name, store.database, store.size, held.anonymous / MIB, "MiB", LIMIT_MIB, note)


def describe_first_load(store: Store) -> list[Row]:
    """How the files were read into the empty database when the store was prepared."""
    found = store.first_load
    peak = found.peak_anonymous / MIB
    note = "server and the process that reads the files"
    return [
        Row("first load from files, parse included", store.database, store.size, found.seconds, "s"),
        Row("memory of the first load, anonymous", store.database, store.size, peak, "MiB", LIMIT_MIB, note),
    ]


def measure_index(store: Store, scratch: Path) -> list[Row]:
    """Index from the database, in fresh processes."""
    found = []
    for _ in range(INDEX_LOADS):
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "bench.index_load", store.full_dsn, str(scratch / "spool")],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise BenchError(f"the index could not be built: {done.stderr.decode().strip().rpartition(chr(10))[2]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    if found[0]["entities"] != store.size:
        raise BenchError(f"the index holds {found[0]['entities']} entities instead of {store.size}")
    seconds = [one["seconds"] for one in found]
    limit = 6.0 if store.size == 100_000 else None
    cpu = statistics.median(one["cpu_seconds"] for one in found)
    note = f"{min(seconds):.2f} to {max(seconds):.2f}; CPU {cpu:.2f}; peak RSS {found[0]['peak'] / MIB:.0f} MiB"
    progress(f"  index: {note}")
    what = "index loaded from the database"
    return [Row(what, store.database, store.size, statistics.median(seconds), "s", limit, note)]
