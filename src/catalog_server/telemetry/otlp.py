"""Sends finished spans to an OpenTelemetry collector (OTLP over HTTP). Needs the packages of the extra `otlp`.

They are handed to the batching part of the SDK as they are: our own spans need no context, sampler or clock of it.
"""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from catalog_server.telemetry.traces import Finished

_KINDS = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}
_NANOSECONDS = 1_000_000_000


class OTLPSender:
    """Thread-safe; never waits for the collector: spans that come faster than they can be sent are dropped."""

    def __init__(self, endpoint: str, *, version: str, instance: str) -> None:
        """`endpoint` is the collector's base URL, `instance` the name of this replica."""
        names = {"service.name": "catalog-server", "service.version": version, "service.instance.id": instance}
        self._resource = Resource.create(names)
        self._scope = InstrumentationScope("catalog_server", version)
        self._batches = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces"))

    def send(self, finished: Finished) -> None:
        span = finished.span
        self._batches.on_end(
            ReadableSpan(
                finished.name,
                context=_context(span.trace_id, span.span_id, span.state),
                parent=_context(span.trace_id, span.parent_id, "") if span.parent_id else None,
                resource=self._resource,
                attributes=dict(finished.attributes),
                kind=_KINDS[finished.kind],
                status=Status(StatusCode.ERROR if finished.is_error else StatusCode.UNSET),
                start_time=int(finished.started * _NANOSECONDS),
                end_time=int(finished.ended * _NANOSECONDS),
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Send what is left, as far as that is possible in a few seconds."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]


def _context(trace_id: str, span_id: str, state: str) -> SpanContext:
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([state]) if state else None,
    )
