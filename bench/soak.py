"""Runs a server for a while under steady traffic, and fails when anything grows that must not, or anything goes wrong.

python -m bench.soak [--minutes N] [--warm-up N] [--database sqlite|postgres]

50 reads and one change a second, and a refresh of a source that has changed every 10 seconds. After the warm-up memory
may grow by 1 MB per 10 minutes, open files and connections not at all, and no request may fail (exit status 1).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from threading import Event, Thread
from typing import Final

from tests.catalog_files import named, write_catalog, write_sources
from tests.databases import fetch_value

from bench.processes import BenchError, Launch, Process, serving
from bench.report import progress, say
from bench.stores import fresh_database

MAX_MB_PER_10_MINUTES: Final = 1.0
READS_PER_SECOND: Final = 50
REFRESH_SECONDS: Final = 10.0
SAMPLE_SECONDS: Final = 5.0
SOURCES: Final = 4
"""One may be refreshed every 30 seconds."""
ENTITIES: Final = 500
BASE: Final = "/api/skills_catalog/v1alpha1"
READS: Final = (
    f"{BASE}/skills",
    f"{BASE}/skills?pageSize=100&orderBy=NAME&sortOrder=DESC",
    f"{BASE}/skills?filterQuery=name%20LIKE%20%27s-1%25%27",
    f"{BASE}/skills?q=skill",
    f"{BASE}/skills/s-0-1",
    f"{BASE}/skills/s-1-7?view=asset",
    f"{BASE}/skills/filter_options",
    f"{BASE}/sources",
    "/api/plugins",
    "/api/assets",
    "/readyz",
    f"{BASE}/skills/none",
)


@dataclass(frozen=True)
class Sample:
    """At one moment. Memory in bytes."""

    at: float
    memory: int
    files: int
    connections: int


class Traffic:
    """Three clients that keep to a pace and note what went wrong."""

    def __init__(self, process: Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._stop = Event()
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        work = ((self._reads(), 1 / READS_PER_SECOND), (self._changes(), 1.0), (self._refreshes(), REFRESH_SECONDS))
        threads = [Thread(target=self._pace, args=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    def _pace(self, work: Iterator[str], seconds: float) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += seconds
            self.done[next(work)] += 1

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except (BenchError, OSError) as error:
            self.errors.append(str(error))

    def _reads(self) -> Iterator[str]:
        for path in cycle(READS):
            with self._noting():
                status, _, body = self._process.get(path)
                if status != (404 if path.endswith("/none") else 200):
                    raise BenchError(f"{path}: {status} {body[:200]!r}")
            yield "reads"

    def _changes(self) -> Iterator[str]:
        for number in cycle(range(ENTITIES)):
            body = {"action": "tag", "params": {"tags": [f"t-{number}"]}}
            with self._noting():
                self._process.post_json(f"{BASE}/management/entities/s-0-{number}:action", body)
            yield "changes"

    def _refreshes(self) -> Iterator[str]:
        for number in count(1):
            source = number % SOURCES
            write_source(self._folder, source, number)
            with self._noting():
                self._process.post_json(f"{BASE}/management/refresh/main-{source}")
            yield "refreshes"


def write_source(folder: Path, source: int, version: int) -> None:
    """Each version has one entity more or less, and one that is another."""
    names = [f"s-{source}-{number}" for number in range(ENTITIES)] + [f"v-{source}-{version}"]
    write_catalog(folder / f"{source}.yaml", "skills", named(*names))


def write_folder(folder: Path) -> Path:
    for source in range(SOURCES):
        write_source(folder, source, 0)
    sources = [{"id": f"main-{one}", "path": folder / f"{one}.yaml"} for one in range(SOURCES)]
    return write_sources(folder / "sources.yaml", {"skills": sources})


def take(process: Process, dsn: str | None) -> Sample:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return Sample(
        time.monotonic(),
        process.memory().total,
        len(list(Path(f"/proc/{process.popen.pid}/fd").iterdir())),
        0 if dsn is None else int(fetch_value(dsn, query)),
    )


def watch(process: Process, dsn: str | None, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    pause, end = Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        process.is_ready()  # raises when it has ended
        samples.append(take(process, dsn))
        if len(samples) % 12 == 0:
            last = samples[-1]
            progress(f"  {last.memory / 1e6:.1f} MB, {last.files} files, {last.connections} connections")
        pause.wait(SAMPLE_SECONDS)
    return samples


def slope_mb(samples: Sequence[Sample]) -> float:
    """Growth of memory in MB per 10 minutes, by least squares."""
    fit = statistics.linear_regression([one.at for one in samples], [one.memory for one in samples])
    return fit.slope * 600 / 1e6


def growth_of(values: Sequence[int]) -> float:
    """By how much the second half lies above the first: medians, so that what comes and goes does not count."""
    half = len(values) // 2
    return statistics.median(values[half:]) - statistics.median(values[:half])


def judge(samples: Sequence[Sample], traffic: Traffic, log: Path) -> bool:
    """Print what was seen; say whether all of it is as it must be."""
    slope = slope_mb(samples)
    files, connections = growth_of([one.files for one in samples]), growth_of([one.connections for one in samples])
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    faults = [line for line in lines if line.get("level") in ("warning", "error", "critical")]
    unexpected = [line for line in faults if "ANYBODY" not in line["event"]]
    rows = [
        ("memory, MB per 10 minutes", f"{slope:+.2f}", slope < MAX_MB_PER_10_MINUTES),
        ("open files", f"{files:+.0f} (of {samples[-1].files})", files <= 1),
        ("connections to the database", f"{connections:+.0f} (of {samples[-1].connections})", connections <= 1),
        ("failed requests", str(len(traffic.errors)), not traffic.errors),
        ("warnings and errors in the log", str(len(unexpected)), not unexpected),
    ]
    say(f"{dict(traffic.done)}; {samples[0].memory / 1e6:.1f} MB at first, {samples[-1].memory / 1e6:.1f} MB at last")
    for name, found, is_good in rows:
        say(f"{'ok ' if is_good else 'BAD'}  {name}: {found}")
    for one in [*traffic.errors[:5], *unexpected[:5]]:
        say(f"     {one}")
    return all(is_good for _, _, is_good in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=5.0, help="minutes before anything is measured")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, fresh_database(given.database) as dsn:
        folder = Path(scratch)
        launch = Launch(write_folder(folder), folder / "data", dsn, pinned=False)
        with serving(launch) as process:
            process.await_ready()
            traffic = Traffic(process, folder)
            with traffic.running():
                progress(f"warming up for {given.warm_up:g} min on {given.database}")
                watch(process, dsn, given.warm_up * 60)
                progress(f"measuring for {given.minutes:g} min")
                samples = watch(process, dsn, given.minutes * 60)
            return 0 if judge(samples, traffic, process.log) else 1


if __name__ == "__main__":
    sys.exit(main())
