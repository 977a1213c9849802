"""What the HTTP edge needs, as one frozen value that bootstrap makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catalog_server.access.authorizers import Authorizer
from catalog_server.access.proxy import HeaderTrust
from catalog_server.audit.trail import Trail
from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.control import SourceControl
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.follower import Indexes
from catalog_server.catalog.links import Links
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.overlays import Overlays
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.refreshes import Refreshes
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.schedule import Schedule
from catalog_server.catalog.statuses import Statuses
from catalog_server.governance.service import Governance
from catalog_server.health import Health
from catalog_server.jobs.queue import Queue
from catalog_server.telemetry.measurements import Measurements
from catalog_server.telemetry.traces import Tracer

if TYPE_CHECKING:  # it loads the library of tokens, which header mode has no use for
    from catalog_server.access.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """The discovery cache (seed, CATALOG_CACHE_*). Times in seconds."""

    is_enabled: bool
    discovery_ttl: int
    capabilities_ttl: int
    max_entries: int


@dataclass(frozen=True, kw_only=True)
class Services:
    """Handed to every group of routes."""

    registry: Registry
    indexes: Indexes
    reader: Reader
    links: Links
    configuration: Configuration
    statuses: Statuses
    health: Health
    cache: CacheSettings
    cors_origins: Sequence[str]
    tenancy_mode: str
    namespaces: Sequence[str]
    response_cache_bytes: int
    trust: HeaderTrust | Tokens
    """Whom to believe who a caller is."""
    authorization_mode: str
    authorizer: Authorizer
    control: SourceControl
    refreshes: Refreshes
    schedule: Schedule
    loader: Loader
    fetcher: Fetcher
    overlays: Overlays
    trail: Trail
    governance: Governance
    queue: Queue | None
    """None where refreshes are not jobs."""
    measurements: Measurements
    tracer: Tracer
