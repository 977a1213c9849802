"""The settings of the HTTP edge; the other groups, and what holds for all, are in groups.py."""

# ruff: noqa: RUF009 - field specifiers, as in groups.py

from __future__ import annotations

from dataclasses import dataclass

from catalog_server.settings.kinds import LISTEN, OPTIONAL_LISTEN, ORIGINS, SECONDS, TEXT, Listen, whole
from catalog_server.settings.table import setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """The HTTP edge."""

    listen: Listen = setting("--listen", ":8080", LISTEN, "Address to accept HTTP connections on.")
    """All interfaces, because a container is reached from outside; 8080 needs no privileges."""
    cors_origins: tuple[str, ...] = setting(
        "CATALOG_CORS_ORIGINS", "*", ORIGINS, "Web origins whose scripts may call the API."
    )
    """`*` is any http or https origin: no cookies are involved, so the browser adds no rights to a script."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    """How long clients may hold what they share."""

    maximum: int = setting("CATALOG_MAX_CONNECTIONS", "1000", whole(1, 1_000_000), "Connections at the same time.")
    """Where there are more, the one that has waited longest for its client is closed. A proxy needs far fewer, and the
    limit on open files is rarely below it."""
    head_timeout_seconds: int = setting(
        "CATALOG_HEAD_TIMEOUT_SECONDS", "10", SECONDS, "How long the head of a request may take."
    )
    """Seconds, from the connection or the first byte on. Heads are small: only a client that means to be slow needs
    longer."""
    stalled_timeout_seconds: int = setting(
        "CATALOG_STALLED_TIMEOUT_SECONDS", "60", SECONDS, "How long a body may take, or a client that takes no answer."
    )
    """Seconds. A body has at most two megabytes; a slow line carries them in that time."""
    idle_timeout_seconds: int = setting(
        "CATALOG_IDLE_TIMEOUT_SECONDS", "30", SECONDS, "How long a connection is kept between requests."
    )
    """Seconds. Set it above the idle time of the proxy before the server, so that the proxy is the one that closes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    """What others are told of the server's work; logs are a group of their own."""

    metrics_listen: Listen | None = setting(
        "CATALOG_METRICS_LISTEN", "", OPTIONAL_LISTEN, "Address that serves `/metrics` to Prometheus."
    )
    """Empty: none. An address of its own, because metrics tell of all tenants and are asked for without credentials."""
    otlp_endpoint: str = setting(
        "CATALOG_OTLP_ENDPOINT", "", TEXT, "Base URL of an OpenTelemetry collector that gets traces by OTLP over HTTP."
    )
    """Empty: none. It takes the optional packages `catalog-server[otlp]`. Further settings of the exporter, such as
    headers with credentials, are the variables of OpenTelemetry, OTEL_EXPORTER_OTLP_*."""
    trace_sample_percent: int = setting(
        "CATALOG_TRACE_SAMPLE_PERCENT", "100", whole(0, 100, "percent"), "Share of the traces that are sent."
    )
    """Of those that begin here: whoever calls with a `traceparent` has decided already."""
