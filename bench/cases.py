"""The requests that are measured against the calibration, and whether their answers are right."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from bench import queries, wrk
from bench.processes import Process, calibrating
from bench.queries import LIST, PAGE_SIZE
from bench.report import Case, progress
from bench.stores import Files, Store
from bench.wrk import Get, Load, Measured

_PAGES: Final = 200
_CACHED_FILTERS: Final = 60
"""Few enough that their answers fit into the default response cache."""
_SAMPLE: Final = 40


@dataclass(frozen=True)
class Ask:
    """One case: what to send, and what is wanted of the answer."""

    name: str
    requests: list[Get]
    target: float | None = None
    p50_target_ms: float | None = None
    connections: int = 32


@dataclass(frozen=True)
class Effort:
    """How long to measure: so many rounds of so many seconds, each with its calibration."""

    rounds: int
    seconds: int


NAMES: Final = ("get", "list", "ordered", "filter", "q", "cached", "304")
CACHED: Final = ("cached", "304")
"""Cases that need the response cache on; all others are measured without it."""


def build_ask(name: str, process: Process, files: Files) -> Ask:
    """The case of this name. Asks the server for what it needs: page tokens and ETags."""
    filters = [query.path() for query in queries.filter_queries()]
    if name == "get":
        return Ask(name, _gets(queries.name_paths(files.size)), target=0.40)
    if name == "list":
        return Ask(name, _gets(_walk_pages(process, "")), target=0.30)
    if name == "ordered":  # pages of which the documents lie far from each other
        return Ask(name, _gets(_walk_pages(process, *queries.ORDERS)))
    if name == "filter":
        return Ask(name, _gets(filters), target=0.12)
    if name == "q":  # one connection: how long one client waits, not how many wait for each other
        words = [query.path() for query in queries.search_queries(files.size)]
        return Ask(name, _gets(words), p50_target_ms=10.0, connections=1)
    if name == "cached":
        return Ask(name, _gets(filters[:_CACHED_FILTERS]), target=0.45)
    tagged = [Get(path, process.get(path)[1]["etag"]) for path in filters[:_CACHED_FILTERS]]
    return Ask(name, tagged, target=0.50)


def _gets(paths: list[str]) -> list[Get]:
    return [Get(path) for path in paths]


def _walk_pages(process: Process, *orders: str) -> list[str]:
    """The first pages of the list in each order, by their page tokens; as many for one order as for many."""
    found = []
    for order in orders:
        first = path = f"{LIST}?pageSize={PAGE_SIZE}{order and f'&orderBy={order}'}"
        for _ in range(_PAGES // len(orders)):
            found.append(path)
            token = process.get_json(path).get("nextPageToken")
            if not token:
                break
            path = f"{first}&pageToken={quote(token)}"
    return found


def check(ask: Ask, process: Process, files: Files) -> str:
    """What is wrong with the answers; empty when nothing is."""
    for path, total in files.expected.items():
        if any(one.path == path for one in ask.requests) and not ask.name.startswith("304"):
            found = process.get_json(path)["totalSize"]
            if found != total:
                return f"{path}: totalSize {found} instead of {total}"
    one = ask.requests[len(ask.requests) // 2]
    status, headers, body = process.get(one.path, {"If-None-Match": one.etag} if one.etag else {})
    if one.etag:
        return "" if (status, body) == (304, b"") else f"status {status} with {len(body)} bytes instead of 304"
    if headers.get("content-length") != str(len(body)) or status != 200:
        return f"{one.path}: status {status}"
    found = process.get_json(one.path)
    if ask.name == "get":
        return "" if one.path.endswith(found["name"]) else f"{one.path}: name {found['name']}"
    return _check_list(found, files.size if ask.name == "list" else None)


def _check_list(found: dict[str, Any], total: int | None) -> str:
    if total is not None and found["totalSize"] != total:
        return f"totalSize {found['totalSize']} instead of {total}"
    wanted = PAGE_SIZE if total is not None else min(PAGE_SIZE, found["totalSize"])
    return "" if len(found["items"]) == wanted else f"{len(found['items'])} entities on a page"


def measure(ask: Ask, process: Process, store: Store, effort: Effort, scratch: Path) -> Case:
    """Rounds of calibration and case in turn."""
    requests = wrk.write_requests(scratch / "requests.txt", ask.requests)
    fault = check(ask, process, store.files)
    body_bytes = _mean_body(ask, process)
    load = Load(effort.seconds, ask.connections)
    runs: list[Measured] = []
    yardstick: list[Measured] = []
    with calibrating(body_bytes, scratch / "calibration.log") as calibration:
        for server in (calibration, process):
            wrk.run(server, requests, Load(1, ask.connections))  # warm
        for _ in range(effort.rounds):
            yardstick.append(wrk.run(calibration, requests, load))
            runs.append(wrk.run(process, requests, load))
    errors = sum(run.errors for run in (*runs, *yardstick))
    fault = fault or check(ask, process, store.files) or (f"{errors} failed requests" if errors else "")
    case = replace(_summarize(ask, runs, yardstick, body_bytes), database=store.database, entities=store.size)
    progress(f"  {case.name}: {case.rps:,.0f} req/s, ratio {case.ratio:.3f} {fault}")
    return replace(case, fault=fault)


def _summarize(ask: Ask, runs: list[Measured], yardstick: list[Measured], body_bytes: int) -> Case:
    ratios = [run.rps / base.rps for run, base in zip(runs, yardstick, strict=True)]
    median = statistics.median
    return Case(
        ask.name,
        "",
        0,
        ask.connections,
        rps=median(run.rps for run in runs),
        calibration_rps=median(run.rps for run in yardstick),
        ratio=median(ratios),
        p50_ms=median(run.p50 for run in runs),
        p99_ms=median(run.p99 for run in runs),
        body_bytes=body_bytes,
        busy=median(run.busy for run in runs),
        calibration_busy=median(run.busy for run in yardstick),
        target=ask.target,
        p50_target_ms=ask.p50_target_ms,
        spread=(min(ratios), max(ratios)),
    )


def _mean_body(ask: Ask, process: Process) -> int:
    step = max(1, len(ask.requests) // _SAMPLE)
    sizes = []
    for one in ask.requests[::step]:
        sizes.append(len(process.get(one.path, {"If-None-Match": one.etag} if one.etag else {})[2]))
    return round(statistics.mean(sizes))
