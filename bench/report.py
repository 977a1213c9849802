"""Rows of results, the tables that people read, and the file that machines read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_UNDISTURBED = 0.9  # of a core


@dataclass(frozen=True)
class Case:
    """One kind of request against one catalog. `ratio` is requests per second to those of the calibration."""

    name: str
    database: str
    entities: int
    connections: int
    rps: float
    calibration_rps: float
    ratio: float
    p50_ms: float
    p99_ms: float
    body_bytes: int
    busy: float
    calibration_busy: float
    target: float | None = None
    p50_target_ms: float | None = None
    fault: str = ""
    spread: tuple[float, float] = (0.0, 0.0)
    """Smallest and largest ratio of the rounds."""

    @property
    def cpu_ratio(self) -> float:
        """The ratio of requests per second of CPU: what `ratio` would be if nothing else ran on the machine."""
        return (self.rps / self.busy) / (self.calibration_rps / self.calibration_busy)

    @property
    def is_disturbed(self) -> bool:
        """Whether a server did not have its core for itself: then the wall clock measured its neighbours, too."""
        return self.connections > 1 and min(self.busy, self.calibration_busy) < _UNDISTURBED

    @property
    def met(self) -> bool | None:
        """None where there is no target, or where a disturbed measurement says one thing and the CPU time another."""
        if self.fault:
            return False
        if self.p50_target_ms is not None:
            return self.p50_ms <= self.p50_target_ms
        if self.target is None:
            return None
        by_clock, by_cpu = self.ratio >= self.target, self.cpu_ratio >= self.target
        return None if self.is_disturbed and by_clock != by_cpu else by_clock


@dataclass(frozen=True)
class Row:
    """Any other number. `limit` is the most that it may be; None: for information."""

    name: str
    database: str
    entities: int
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.limit is None else self.value <= self.limit


@dataclass
class Report:
    """All results of one run."""

    cases: list[Case] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        document = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cases": [{**asdict(case), "cpu_ratio": case.cpu_ratio, "met": case.met} for case in self.cases],
            "rows": [{**asdict(row), "met": row.met} for row in self.rows],
            "unmeasured": self.unmeasured,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")

    def show(self) -> None:
        for key in dict.fromkeys((case.database, case.entities) for case in self.cases):
            say(f"\n{key[0]}, {key[1]:,} entities")
            _table(_CASE_HEAD, [_case_line(case) for case in self.cases if (case.database, case.entities) == key])
        if self.rows:
            say("\nother measurements")
            _table(_ROW_HEAD, map(_row_line, self.rows))
        for line in self.unmeasured:
            say(f"NOT MEASURED: {line}")


def growth(cases: Sequence[Case]) -> list[Row]:
    """How much slower the larger catalog is, by ratios to the calibration: drifts of the machine cancel out."""
    found = []
    for database in dict.fromkeys(case.database for case in cases):
        for name, limit in (("get", 1.25), ("list", 1.25), ("filter", 3.0)):
            own = [case for case in cases if (case.database, case.name) == (database, name)]
            if len(own) == 2:
                small, large = sorted(own, key=lambda case: case.entities)
                note = f"req/s {small.rps:,.0f} and {large.rps:,.0f}"
                what = f"{name}: {small.entities:,} to {large.entities:,}, slower by"
                found.append(Row(what, database, large.entities, small.ratio / large.ratio, "x", limit, note))
    return found


_CASE_HEAD = (
    "case",
    "conns",
    "req/s",
    "calibr.",
    "ratio",
    "(rounds)",
    "by CPU",
    "target",
    "p50 ms",
    "p99 ms",
    "body",
    "",
)
_ROW_HEAD = ["what", "database", "entities", "value", "limit", "", "note"]


def verdict(met: bool | None) -> str:
    return "" if met is None else ("ok" if met else "NOT met")


def _case_line(case: Case) -> tuple[str, ...]:
    target = f"p50 {case.p50_target_ms:g}" if case.p50_target_ms is not None else ""
    return (
        case.name,
        str(case.connections),
        f"{case.rps:,.0f}",
        f"{case.calibration_rps:,.0f}",
        f"{case.ratio:.3f}",
        f"{case.spread[0]:.2f}-{case.spread[1]:.2f}",
        f"{case.cpu_ratio:.3f}" if case.connections > 1 else "",
        target or (f"{case.target:.2f}" if case.target is not None else ""),
        f"{case.p50_ms:.2f}",
        f"{case.p99_ms:.2f}",
        f"{case.body_bytes:,}",
        f"{verdict(case.met)} {case.fault} {_disturbance(case)}".strip(),
    )


def _disturbance(case: Case) -> str:
    if not case.is_disturbed:
        return ""
    unclear = "" if case.met is not None or case.target is None else "UNCLEAR: clock and CPU disagree "
    return f"{unclear}(busy: server {case.busy:.0%}, calibration {case.calibration_busy:.0%})"


def _row_line(row: Row) -> tuple[str, ...]:
    limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
    return (
        row.name,
        row.database,
        f"{row.entities:,}",
        f"{row.value:,.2f} {row.unit}",
        limit,
        verdict(row.met),
        row.note,
    )


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    held = [head, *lines]
    widths = [max(len(line[column]) for line in held) for column in range(len(head))]
    for line in held:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
