"""Measures and reports; `make bench` runs it beside a PostgreSQL.

python -m bench [--quick] [--only NAME ...] [--databases LIST] [--sizes LIST] [--rounds N] [--seconds N]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from bench import cases, client, footprint, guarded, jobs, refresh, stores, wrk
from bench.cases import Effort
from bench.processes import BenchError, serving
from bench.report import Report, Row, growth, progress, say
from bench.stores import CACHE, Store

PARTS = (*cases.NAMES, "memory", "start", "index", "guarded", "refresh", "jobs", "client")


class Bench:
    """One run: what is wanted, and what was found."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.wanted = frozenset(options.only or PARTS)
        self.effort = Effort(options.rounds, options.seconds)
        self.scratch = scratch
        self.report = Report()

    def run(self, databases: list[str], sizes: list[int]) -> None:
        self.sizes = sizes
        for database in databases:
            if "start" in self.wanted:
                self._try("start", database, partial(footprint.measure_start, database, self.scratch))
            if self.wanted - {"start", "refresh", "jobs", "client"}:
                for size in sizes:
                    self._try(f"{size:,} entities", database, partial(self._measure_store, database, size))
            if "refresh" in self.wanted:
                repeats = max(3, self.effort.rounds)
                self._try("refresh", database, partial(refresh.measure_refresh, database, self.scratch, repeats))
            if "jobs" in self.wanted:
                self._try("jobs", database, partial(jobs.measure_jobs, database, self.scratch))
        if "client" in self.wanted:  # which database the server has makes no difference to it
            self._try("client", databases[0], partial(client.measure_client, databases[0], self.scratch))
        self.report.rows += growth(self.report.cases)

    def _try(self, what: str, database: str, measure: Callable[[], Iterable[Row]]) -> None:
        """Keep what a part gives, as far as it comes; a part that fails does not stop the others."""
        progress(f"{database}: {what}")
        try:
            for row in measure():
                self.report.rows.append(row)
        except (BenchError, OSError) as error:
            self.report.unmeasured.append(f"{what} on {database}: {error}")
            progress(f"  NOT MEASURED: {error}")

    def _measure_store(self, database: str, size: int) -> Iterable[Row]:
        files = stores.prepare_files(size)
        with stores.loaded_store(database, files, self.scratch) as store:
            yield from footprint.describe_first_load(store)
            if "index" in self.wanted:
                self._try("index", database, partial(footprint.measure_index, store, self.scratch))
            if "guarded" in self.wanted and size == min(self.sizes):
                self._try("guarded", database, partial(guarded.measure_guarded, store, self.effort, self.scratch))
            for cached in (False, True):
                self._try("requests", database, partial(self._measure_cases, store, cached))

    def _measure_cases(self, store: Store, cached: bool) -> Iterable[Row]:
        """All cases that need the response cache, or all that need to do without it, on one server."""
        names = [name for name in cases.NAMES if name in self.wanted and (name in cases.CACHED) == cached]
        wants_memory = "memory" in self.wanted and not cached
        if not names and not wants_memory:
            return
        with serving(store.launch(cache=cached)) as process:
            process.await_ready()
            stores.check_size(process, store.size)
            if wants_memory:
                yield footprint.measure_memory(store, process, "after start")
            for name in names:
                ask = cases.build_ask(name, process, store.files)
                self.report.cases.append(cases.measure(ask, process, store, self.effort, self.scratch))
            if wants_memory and names:
                yield footprint.measure_memory(store, process, "after the load")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed and memory of the server.")
    parser.add_argument("--quick", action="store_true", help="10,000 entities on SQLite, rounds of one second")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be repeated")
    parser.add_argument("--databases", default="sqlite,postgres")
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="length of a round; its calibration takes the same")
    options = parser.parse_args()
    if options.quick:
        options.databases, options.sizes, options.rounds, options.seconds = "sqlite", "10000", 3, 1
    return options


def main() -> int:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers and databases go, too
    try:
        wrk.install()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    CACHE.mkdir(parents=True, exist_ok=True)
    progress(f"load of the machine before: {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as scratch:
        bench = Bench(options, Path(scratch))
        bench.run(options.databases.split(","), [int(size) for size in options.sizes.split(",")])
    bench.report.show()
    bench.report.write(CACHE / "latest.json")
    say(f"\nalso in {CACHE / 'latest.json'}")
    return 1 if bench.report.unmeasured else 0


if __name__ == "__main__":
    sys.exit(main())
