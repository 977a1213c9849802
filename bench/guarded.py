"""What protection costs: reads with namespaces, reviews by the cluster, audit and metrics, beside those without.

Both servers answer from the same database, in turn, to the same headers. The cluster is that of the tests, over HTTP.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.databases import fetch_value
from tests.fake_kubernetes import Cluster, serve_cluster

from bench import cases, queries, wrk
from bench.cases import Effort
from bench.processes import Process, serving
from bench.queries import LIST
from bench.report import Row, progress
from bench.stores import Store
from bench.wrk import Load, Measured

CASES: Final = ("get", "list")
MAX_LOSS_PERCENT: Final = 15.0
EQUAL_REQUESTS: Final = 1000
CHANGES: Final = 100
_CLIENTS: Final = 50
_HEADERS: Final = {"X-Namespace": "default", "X-Remote-User": "bench", "X-Remote-Group": "staff"}


@contextmanager
def _guarded(store: Store, scratch: Path, *, audited: bool = True) -> Iterator[tuple[Process, Cluster]]:
    """A server beside others of the same store: with a spool of its own."""
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")  # a URL comes without credentials, as `kubectl proxy` takes it
        cluster.allows = lambda _: True
        variables = {
            "CATALOG_TENANCY_MODE": "namespace",
            "CATALOG_AUTHZ_MODE": "sar",
            "CATALOG_KUBERNETES_URL": url,
            "CATALOG_AUDIT_ENABLED": "true" if audited else "false",
            "CATALOG_METRICS_LISTEN": "127.0.0.1:0",
        }
        launch = replace(store.launch(cache=False), data=scratch / "guarded", dsn=store.full_dsn, variables=variables)
        with serving(launch) as process:
            process.await_ready()
            yield process, cluster


def measure_guarded(store: Store, effort: Effort, scratch: Path) -> Iterator[Row]:
    with serving(store.launch(cache=False)) as plain, _guarded(store, scratch) as (guarded, _):
        plain.await_ready()
        for name in CASES:
            yield _compare(name, store, plain, guarded, effort, scratch)
    with _guarded(store, scratch) as (guarded, cluster):
        yield _equal_requests(store, guarded, cluster)
    if store.dsn is not None:
        yield _transactions(store, scratch)


def _compare(name: str, store: Store, plain: Process, guarded: Process, effort: Effort, scratch: Path) -> Row:
    ask = cases.build_ask(name, plain, store.files)
    requests = wrk.write_requests(scratch / "requests.txt", ask.requests)
    load = Load(effort.seconds, ask.connections)
    runs: dict[Process, list[Measured]] = {plain: [], guarded: []}
    for process in runs:
        wrk.run(process, requests, Load(1, ask.connections), _HEADERS)  # warm
    for _ in range(max(3, effort.rounds)):
        for process, measured in runs.items():
            measured.append(wrk.run(process, requests, load, _HEADERS))
    errors = sum(one.errors for measured in runs.values() for one in measured)
    by_clock = statistics.median(1 - mine.rps / base.rps for base, mine in zip(runs[plain], runs[guarded], strict=True))
    by_cpu = statistics.median(
        1 - (mine.rps / mine.busy) / (base.rps / base.busy)
        for base, mine in zip(runs[plain], runs[guarded], strict=True)
    )
    progress(f"  guarded {name}: {by_clock:.1%} slower by clock, {by_cpu:.1%} by processor time")
    return Row(
        f"{name} with namespace, sar and audit, slower by",
        store.database,
        store.size,
        100 * by_cpu,
        "%",
        MAX_LOSS_PERCENT,
        f"by clock {by_clock:.1%}" + (f"; {errors} failed requests" if errors else ""),
    )


def _equal_requests(store: Store, process: Process, cluster: Cluster) -> Row:
    path = queries.name_paths(store.size)[0]
    cluster.reviews.clear()

    def ask(_: int) -> int:
        return process.get(path, _HEADERS)[0]

    with ThreadPoolExecutor(_CLIENTS) as pool:
        refused = sum(status != 200 for status in pool.map(ask, range(EQUAL_REQUESTS)))
    note = f"{refused} refused" if refused else ""
    name = f"reviews for {EQUAL_REQUESTS:,} equal requests"
    return Row(name, store.database, store.size, len(cluster.reviews), "reviews", 1, note)


def _transactions(store: Store, scratch: Path) -> Row:
    """Transactions that write, of one change of an entity, with audit and without: PostgreSQL numbers them."""
    name = queries.name_paths(store.size)[0].rpartition("/")[2]
    found = {}
    for audited in (False, True):
        with _guarded(store, scratch, audited=audited) as (process, _):
            before = _number(store)
            for number in range(CHANGES):
                body = {"action": "annotate", "params": {"annotations": {"bench": f"{audited}-{number}"}}}
                process.post_json(f"{LIST}/{name}:action", body, _HEADERS)
            found[audited] = (_number(store) - before - 1) / CHANGES
    more = found[True] - found[False]
    note = f"{found[False]:g} without, {found[True]:g} with"
    return Row("transactions that audit adds to a change", store.database, store.size, more, "", 1, note)


def _number(store: Store) -> int:
    return int(fetch_value(store.full_dsn, "SELECT txid_current()"))
