"""Ten clients who connect anew for each request, as probes and scripts do: how long they wait (spec platform.md 11).

python -m bench.load [--database sqlite|postgres]

Exit status 1 when a request fails, or the 95th percentile of a kind is above its bound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import ROOT, Launch, Process, calibrating, serving
from bench.report import say
from bench.stores import fresh_database

CLIENTS: Final = 10
SOURCES: Final = ROOT / "catalog" / "config" / "sources.yaml"
LISTS: Final = (
    "/api/model_catalog/v1alpha1/models",
    "/api/mcp_catalog/v1alpha1/mcpservers",
    "/api/agents_catalog/v1alpha1/agents",
    "/api/skills_catalog/v1alpha1/skills",
)
READ_MS: Final = 30.0
PROBE_MS: Final = 10.0


@dataclass(frozen=True)
class Kind:
    """Requests of one kind, and the most that the 95th percentile may take."""

    name: str
    paths: Sequence[str]
    bound_ms: float
    requests: int = 200
    clients: int = CLIENTS


def kinds(process: Process) -> list[Kind]:
    # Models are got through their sources, all others by name.
    names = {path: process.get_json(path)["items"][0]["name"] for path in LISTS[1:]}
    gets = [f"{path}/{name}" for path, name in names.items()]
    reads = ["/api/plugins", *LISTS, *gets]
    return [
        Kind("/api/plugins", ["/api/plugins"], READ_MS),
        Kind("capabilities", ["/api/plugins/model/capabilities"], READ_MS),
        Kind("list", LISTS, READ_MS),
        Kind("get", gets, READ_MS),
        Kind("/livez", ["/livez"], PROBE_MS),
        Kind("/readyz", ["/readyz"], PROBE_MS),
        Kind("mixed, 20 clients", reads, READ_MS, 400, 20),
    ]


def ask(process: Process, path: str) -> float | None:
    """Milliseconds, with the connection; None: it failed."""
    began = time.perf_counter()
    try:
        status, _, _ = process.get(path)
    except OSError:
        return None
    return (time.perf_counter() - began) * 1000 if status == 200 else None


def percentiles(process: Process, kind: Kind) -> tuple[float, float, int]:
    """p50 and p95 in milliseconds, and how many requests failed."""
    paths = [kind.paths[number % len(kind.paths)] for number in range(kind.requests)]
    with ThreadPoolExecutor(kind.clients) as pool:
        found = list(pool.map(lambda path: ask(process, path), paths))
    times = sorted(one for one in found if one is not None)
    failed = len(found) - len(times)
    p50, p95 = (times[int(len(times) * share)] if times else float("inf") for share in (0.5, 0.95))
    return p50, p95, failed


def measure(process: Process, kind: Kind) -> bool:
    p50, p95, failed = percentiles(process, kind)
    is_good = not failed and p95 <= kind.bound_ms
    verdict = "ok " if is_good else "BAD"
    say(f"{verdict}  {kind.name:18} p50 {p50:5.1f} ms  p95 {p95:5.1f} ms (at most {kind.bound_ms:g})  failed {failed}")
    return is_good


def calibrate(folder: Path) -> None:
    """What a server would show that does nothing: the client, this machine, and what else runs on it."""
    with calibrating(100, folder / "calibration.log") as bare:
        p50, p95, _ = percentiles(bare, Kind("bare server", ["/"], PROBE_MS))
    say(f"     {'bare server':18} p50 {p50:5.1f} ms  p95 {p95:5.1f} ms (calibration)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    given = parser.parse_args()
    # Ten threads that wait for each other would else be most of what is measured.
    sys.setswitchinterval(0.0002)
    with (
        tempfile.TemporaryDirectory() as scratch,
        fresh_database(given.database) as dsn,
        serving(Launch(SOURCES, Path(scratch) / "data", dsn, pinned=False)) as process,
    ):
        process.await_ready()
        calibrate(Path(scratch))
        found = [measure(process, kind) for kind in kinds(process)]
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
