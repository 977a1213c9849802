"""Measures and reports; `make bench` runs it beside a PostgreSQL.

    python -m bench [--quick] [--only NAME ...] [--rounds N] [--seconds N]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import cases, footprint, refresh, stores, wrk
from bench.cases import Effort
from bench.processes import BenchError, Process, serving
from bench.report import Report, Row, progress, say
from bench.stores import CACHE, Store

SMALL, LARGE = 10_000, 100_000
PARTS = (*cases.NAMES, "memory", "start", "index", "refresh")


class Bench:
    """One run: what is wanted, and what was found."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.wanted = set(options.only or PARTS)
        self.effort = Effort(options.rounds, options.seconds)
        self.databases = options.databases.split(",")
        self.sizes = [int(size) for size in options.sizes.split(",")]
        self.scratch = scratch
        self.report = Report()

    def run(self) -> None:
        for database in self.databases:
            if "start" in self.wanted:
                self._try("start", database, lambda: footprint.measure_start(database, self.scratch))
            for size in self.sizes:
                self._try(f"{size} entities", database, lambda: self._measure_store(database, size))
            if "refresh" in self.wanted:
                repeats = max(3, self.effort.rounds)
                self._try("refresh", database, lambda: refresh.measure_refresh(database, self.scratch, repeats))
            self.report.rows += growth(self.report, database)

    def _try(self, what: str, database: str, measure: Callable[[], Sequence[Row]]) -> None:
        progress(f"{database}: {what}")
        try:
            self.report.rows += measure()
        except (BenchError, OSError) as error:
            self.report.unmeasured.append(f"{what} on {database}: {error}")
