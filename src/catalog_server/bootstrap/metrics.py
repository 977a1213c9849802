"""The metrics of the server: names, forms, help texts, and where their values are read when Prometheus asks.

Names are those of OpenTelemetry where it has one (anchors.md 3.7), else `catalog_*`. No label names a tenant, a source
or a user: there may be any number of them. docs/reference/metrics.md is made of `METRICS`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from catalog_server import __version__
from catalog_server.audit.trail import Trail
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.status import SERVING
from catalog_server.catalog.statuses import Statuses
from catalog_server.errors import Unavailable
from catalog_server.governance.approvals import Approvals
from catalog_server.health import Health
from catalog_server.jobs.job import JobState
from catalog_server.jobs.queue import Queue
from catalog_server.telemetry.measurements import Durations, Labels, Measurements

T = TypeVar("T")
Values = Mapping[Labels, float]
_ONE: Final[Labels] = ()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What metrics tell of."""

    measurements: Measurements
    health: Health
    statuses: Statuses
    indexes: Indexes
    follower: Follower
    trail: Trail
    queue: Queue | None
    approvals: Approvals
    database: str
    """The type."""


@dataclass(frozen=True, slots=True)
class MetricType:
    """One metric. `read` gives values by labels, or None where there are none to give now."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...]
    read: Callable[[Parts], Values | Durations | None]


def collect(parts: Parts) -> Iterator[Metric]:
    """All metrics, with their values of this moment."""
    for metric in METRICS:
        found = metric.read(parts)
        if found is not None:
            yield _family(metric, found)


def _family(metric: MetricType, found: Values | Durations) -> Metric:
    if isinstance(found, Durations):
        return _histogram(metric, found)
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(found.items()):
        family.add_metric(list(map(str, labels)), value)
    return family


def _histogram(metric: MetricType, found: Durations) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*map(str, found.bounds), "+Inf"]
    for labels, series in sorted(found.read().items()):
        family.add_metric(
            list(map(str, labels)), list(zip(bounds, accumulate(series.counts), strict=True)), series.total_seconds
        )
    return family


def _sources(parts: Parts) -> Values:
    return Counter((key.plugin, status.state) for key, status in parts.statuses.all().items())


def _last_success(parts: Parts) -> Values:
    found: dict[Labels, float] = {}
    for key, status in parts.statuses.all().items():
        if status.state in SERVING and status.last_refresh_time is not None:
            found[key.plugin,] = max(found.get((key.plugin,), 0.0), status.last_refresh_time / 1000)
    return found


def _entities(parts: Parts) -> Values:
    found: Counter[Labels] = Counter({(shape.kind.name,): 0 for shape in parts.indexes.shapes.values()})
    for index in parts.indexes.all().values():
        found[index.shape.kind.name,] += len(index.table)
    return found


def _jobs(parts: Parts) -> Values | None:
    counts = None if parts.queue is None else _from_database(parts, parts.queue.count_states)
    return None if counts is None else {(str(state),): counts.get(state, 0) for state in JobState}


def _approvals(parts: Parts) -> Values | None:
    waiting = _from_database(parts, parts.approvals.count_waiting)
    return None if waiting is None else {_ONE: waiting}


def _from_database(parts: Parts, read: Callable[[], T]) -> T | None:
    """None: it is down, and the metric of the database says so."""
    if not parts.health.is_database_up:  # a scrape must not wait for it
        return None
    try:
        return read()
    except Unavailable:  # it went down since
        return None


def _index_lag(parts: Parts) -> Values | None:
    looked_at = parts.follower.looked_at
    return None if looked_at is None else {_ONE: time.monotonic() - looked_at}


def _leader(parts: Parts) -> Values | None:
    leads = parts.health.is_leading
    return None if leads is None else {_ONE: float(leads)}


def _ready(parts: Parts) -> Iterable[tuple[Labels, float]]:
    for name, check in parts.health.ready_checks().items():
        yield (name,), float(check.is_passed)


METRICS: Final = (
    MetricType(
        "http_server_request_duration_seconds",
        "histogram",
        "How long requests took, probes included. The route is the template; empty: no route has this path.",
        ("http_request_method", "http_route", "http_response_status_code", "url_scheme"),
        lambda parts: parts.measurements.requests,
    ),
    MetricType(
        "http_server_active_requests",
        "gauge",
        "Requests that are being answered.",
        (),
        lambda parts: {_ONE: parts.measurements.active_requests},
    ),
    MetricType(
        "catalog_build_info",
        "gauge",
        "Always 1: the version of the server, and the type of its database.",
        ("version", "database"),
        lambda parts: {(__version__, parts.database): 1},
    ),
    MetricType(
        "catalog_ready",
        "gauge",
        "1 where a check of /readyz passes.",
        ("check",),
        lambda parts: dict(_ready(parts)),
    ),
    MetricType(
        "catalog_leader",
        "gauge",
        "1 on the replica that leads. Absent where no leader is elected.",
        (),
        _leader,
    ),
    MetricType(
        "catalog_sources",
        "gauge",
        "Sources by their state.",
        ("plugin", "state"),
        _sources,
    ),
    MetricType(
        "catalog_source_last_success_timestamp_seconds",
        "gauge",
        "When a refresh of a source of this plugin last succeeded.",
        ("plugin",),
        _last_success,
    ),
    MetricType(
        "catalog_source_refresh_duration_seconds",
        "histogram",
        "How long refreshes of sources took on this replica. Result: success or error.",
        ("plugin", "result"),
        lambda parts: parts.measurements.refreshes,
    ),
    MetricType(
        "catalog_entities",
        "gauge",
        "Entities that are served, of all tenants.",
        ("kind",),
        _entities,
    ),
    MetricType(
        "catalog_index_lag_seconds",
        "gauge",
        "Seconds since the index was last known to be as new as the database: how old answers can be.",
        (),
        _index_lag,
    ),
    MetricType(
        "catalog_jobs",
        "gauge",
        "Refresh jobs in the database, of all replicas. Absent while the database is down.",
        ("state",),
        _jobs,
    ),
    MetricType(
        "catalog_approval_requests_waiting",
        "gauge",
        "Approval requests that wait for a decision, of all tenants. Absent while the database is down.",
        (),
        _approvals,
    ),
    MetricType(
        "catalog_audit_events_waiting",
        "gauge",
        "Audit events on the disk of this replica that are not in the database yet.",
        (),
        lambda parts: {_ONE: parts.trail.waiting},
    ),
    MetricType(
        "catalog_cache_requests_total",
        "counter",
        "Reads by what the caches of answers did for them. Cache: answers or discovery; result: hit, miss or"
        " not_modified.",
        ("cache", "result"),
        lambda parts: dict(parts.measurements.cache),
    ),
    MetricType(
        "catalog_authz_decisions_total",
        "counter",
        "Requests by what was decided about them: allowed, denied or undecided.",
        ("result",),
        lambda parts: dict(parts.measurements.decisions),
    ),
    MetricType(
        "catalog_authz_reviews_total",
        "counter",
        "SubjectAccessReviews that the cluster was asked for: allowed, denied or error.",
        ("result",),
        lambda parts: parts.measurements.reviews.read(),
    ),
)
