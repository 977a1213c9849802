"""What is told of the server's work to Prometheus and to a collector of traces, where the settings name them.

Their libraries are loaded only then: nobody else pays for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from catalog_server import __version__
from catalog_server.bootstrap.sockets import open_socket
from catalog_server.errors import Invalid
from catalog_server.jobs.context import JobContext
from catalog_server.jobs.job import Job, JobResult
from catalog_server.jobs.worker import Run
from catalog_server.settings import Settings
from catalog_server.telemetry import traces
from catalog_server.telemetry.traces import Finished, Span, Trace, Tracer

if TYPE_CHECKING:
    from catalog_server.bootstrap.metrics import Parts
    from catalog_server.telemetry.exposition import MetricsServer

_OTLP = "CATALOG_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracer, and how to end it: what it has not sent yet is sent."""

    tracer: Tracer
    close: Callable[[], None]


def open_tracing(settings: Settings) -> Tracing:
    """Raises Invalid when a collector is named and the packages for it are not installed."""
    given = settings.telemetry
    if not given.otlp_endpoint:
        return Tracing(Tracer(), lambda: None)
    if not given.otlp_endpoint.startswith(("http://", "https://")):
        raise Invalid(f"{_OTLP}: must be an http:// or https:// URL")
    if "@" in given.otlp_endpoint:  # the exporter logs it
        raise Invalid(f"{_OTLP}: must not hold credentials; give them as OTEL_EXPORTER_OTLP_HEADERS")
    try:
        from catalog_server.telemetry.otlp import OTLPSender
    except ImportError as error:
        missing = f"needs packages that are not installed ({error.name}): install catalog-server[otlp]"
        raise Invalid(f"{_OTLP}: {missing}") from error
    sender = OTLPSender(given.otlp_endpoint, version=__version__, instance=settings.leader_election.pod_name)
    return Tracing(Tracer(sender.send, given.trace_sample_percent / 100), sender.close)


def open_metrics(settings: Settings, parts: Callable[[], Parts]) -> MetricsServer | None:
    """The listener for Prometheus, which does not answer before it is started. Raises Invalid."""
    listen = settings.telemetry.metrics_listen
    if listen is None:
        return None
    from catalog_server.bootstrap.metrics import collect
    from catalog_server.telemetry.exposition import MetricsServer

    try:
        return MetricsServer(open_socket(listen), partial(collect, parts()))
    except Invalid as error:
        raise Invalid(f"CATALOG_METRICS_LISTEN: {error.message}") from error


def traced(run: Run, tracer: Tracer) -> Run:
    """Each attempt of a job as the first span of a trace, to which what it fetches belongs."""

    def work(job: Job, context: JobContext) -> JobResult:
        trace, started = Trace(tracer), time.time()
        traces.current.set(trace)  # the thread ends with the job
        result = run(job, context)
        if tracer.wants(trace.span):
            tracer.finish(_finished(job, result, trace.span, started))
        return result

    return work


def _finished(job: Job, result: JobResult, span: Span, started: float) -> Finished:
    attributes: dict[str, str | int] = {
        "catalog.job_id": job.id,
        "catalog.namespace": job.namespace,
        "catalog.plugin": job.plugin,
        "catalog.correlation_id": job.correlation_id or job.id,
        "catalog.entities_loaded": result.entities_loaded,
    }
    if job.source_id is not None:
        attributes["catalog.source"] = job.source_id
    return Finished(span, "refresh", "internal", started, time.time(), attributes, result.error is not None)
