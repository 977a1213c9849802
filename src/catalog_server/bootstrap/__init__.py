"""The one place where concrete classes meet: settings -> a server that can be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from catalog_server.access.authorizers import Authorizer, ReviewAuthorizer, RoleAuthorizer
from catalog_server.access.decisions import Decisions
from catalog_server.access.proxy import HeaderTrust
from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.bootstrap.auditing import job_event
from catalog_server.bootstrap.background import Background
from catalog_server.bootstrap.cluster import open_cluster, open_decisions, open_elector
from catalog_server.bootstrap.identity import build_trust
from catalog_server.bootstrap.leading import Leading
from catalog_server.bootstrap.sourcing import build_fetcher, build_reader, local_files
from catalog_server.bootstrap.telemetry import Tracing, open_metrics, open_tracing, traced
from catalog_server.catalog.configuration import ConfigReader, Configuration
from catalog_server.catalog.control import SourceControl
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.judging import Judge
from catalog_server.catalog.links import Links
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.overlays import Overlays
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.refresher import Refresher
from catalog_server.catalog.refreshes import Refreshes
from catalog_server.catalog.registry import Registry, discover
from catalog_server.catalog.schedule import Schedule
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Writer
from catalog_server.cluster.configuration_feed import ConfigurationFeed
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import Engine, open_engine
from catalog_server.db.fencing import Fence
from catalog_server.db.migrate import check_migrated, migrate
from catalog_server.errors import Invalid, Unavailable
from catalog_server.governance.entities import Entities
from catalog_server.governance.service import Governance, Rules, open_governance, read_rules
from catalog_server.health import Health
from catalog_server.http.app import App, build_app
from catalog_server.http.services import CacheSettings, Services
from catalog_server.jobs.limits import JobLimits
from catalog_server.jobs.queue import Queue
from catalog_server.jobs.worker import Pace, Workers
from catalog_server.kube.client import KubeClient
from catalog_server.settings import Settings
from catalog_server.sources.stores.replacing import AtStep, no_step
from catalog_server.telemetry.access_log import AccessLog
from catalog_server.telemetry.measurements import Measurements

if TYPE_CHECKING:  # it loads the library of tokens, which header mode has no use for
    from catalog_server.access.tokens import Tokens
    from catalog_server.bootstrap.metrics import Parts
    from catalog_server.telemetry.exposition import MetricsServer


@dataclass(frozen=True)
class Server:
    """All that a process is made of. `close` it when done."""

    app: App
    engine: Engine
    health: Health
    background: Background
    access_log: AccessLog
    cluster: KubeClient | None
    decisions: Decisions | None
    """None where the cluster decides about nothing."""
    tracing: Tracing
    metrics: MetricsServer | None
    """None: nobody is to ask for metrics. Else it has to be started."""

    def close(self) -> None:
        """Stop background work, write what is left of the log, give the database back."""
        self.background.stop()
        if self.metrics is not None:
            self.metrics.stop()
        self.tracing.close()
        self.access_log.flush()
        self.engine.dispose()
        if self.decisions is not None:
            self.decisions.close()
        if self.cluster is not None:
            self.cluster.close()


def build(
    settings: Settings, access_log: AccessLog, registry: Registry | None = None, *, at_step: AtStep = no_step
) -> Server:
    """Put the parts together. Nothing runs and no database is connected yet.

    `at_step` is told the steps of a change and of a refresh: the place for a test to end the process.

    Raises:
        Invalid: a plugin, the DSN or the sources files are wrong.
    """
    registry = registry or discover()
    engine = _open_engine(settings)
    _make_data_dir(settings.paths.data_dir)
    cluster = open_cluster(settings)
    reader = build_reader(settings, cluster, registry, at_step)
    parts = _Parts(settings, registry, engine, reader, build_fetcher(settings, cluster), at_step)
    parts.take_configuration()
    decisions = open_decisions(settings, cluster, parts.measurements)
    authorizer = RoleAuthorizer() if decisions is None else ReviewAuthorizer(decisions)
    trust = build_trust(settings)  # last, so that what it warns of is about a server that starts
    app = build_app(parts.services(authorizer, trust), access_log)
    return Server(
        app,
        engine,
        parts.health,
        parts.background(trust, cluster),
        access_log,
        cluster,
        decisions,
        parts.tracing,
        open_metrics(settings, parts.for_metrics),
    )


class _Parts:
    """What the domain is made of, put together from the inside out."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        engine: Engine,
        reader: ConfigReader,
        fetcher: Fetcher,
        at_step: AtStep,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.engine = engine
        self.reader = reader
        self.fetcher = fetcher
        self.is_shared = settings.tenancy.mode != "single"
        self.at_step = at_step
        self.health, self.configuration, self.feed = Health(), Configuration(), ConfigurationFeed(engine)
        self.measurements, self.tracing = Measurements(), open_tracing(settings)
        self.statuses, self.trail = Statuses(engine, registry), self._trail()
        self.indexes = Indexes(registry, settings.paths.data_dir / "spool")
        self.follower = Follower(engine, registry, self.indexes)
        self.links, self.entity_reader = Links(registry, self.indexes), Reader(self.indexes)
        self.refresher = self._refresher()
        self.loader = self._loader()
        self.queue = self._queue() if settings.jobs.enabled else None
        self.refreshes = Refreshes(
            registry=registry,
            configuration=self.configuration,
            refresher=self.refresher,
            queue=self.queue,
            after_write=self.follower.catch_up,
            at_step=at_step,
        )
        self.schedule = Schedule(
            registry=registry,
            configuration=self.configuration,
            statuses=self.statuses,
            fetcher=fetcher,
            ask=self.refreshes.schedule,
        )

    @cached_property
    def rules(self) -> Rules:
        """Of governance."""
        files = self.settings.governance
        return read_rules(files.approval_policies, files.config, self.registry)

    @cached_property
    def overlays(self) -> Overlays:
        return Overlays(self.engine, self.follower.catch_up)

    @cached_property
    def governance(self) -> Governance:
        entities = Entities(self.registry, self.entity_reader, self.overlays, self.configuration)
        return open_governance(self.engine, self.trail, self.rules, entities.look)

    def _trail(self) -> Trail:
        audit, days = self.settings.audit, self.rules.config.audit_retention.days
        if days is not None and "audit.retention_days" not in self.settings.given:
            audit = replace(audit, retention_days=days)
        return Trail(self.engine, Spool(self.settings.paths.data_dir / "audit"), audit)

    def _queue(self) -> Queue:
        return Queue(
            self.engine,
            JobLimits.of(self.settings.jobs),
            ended=lambda connection, job: self.trail.add(connection, job_event(job)),
        )

    def _refresher(self) -> Refresher:
        return Refresher(
            writer=Writer(self.engine, at_step=self.at_step),
            statuses=self.statuses,
            fetcher=self.fetcher,
            says=self.configuration.says,
            durations=self.measurements.refreshes,
            at_step=self.at_step,
        )

    def _loader(self) -> Loader:
        loader = Loader(
            engine=self.engine,
            registry=self.registry,
            configuration=self.configuration,
            statuses=self.statuses,
            refresher=self.refresher,
            fetcher=self.fetcher,
            reader=self.reader,
            files=local_files(self.settings),
            after_write=self.follower.catch_up,
            is_shared=self.is_shared,
        )
        self.health.watch_plugins(loader.healthy)
        return loader

    def take_configuration(self) -> None:
        """Read the configuration now, so that a wrong one stops the start. A cluster that is down is waited for."""
        try:
            self.loader.take_configuration()
        except Unavailable as error:
            if self.settings.config_store.mode != "k8s":
                raise Invalid(f"--sources: {self.reader.store.describe()}: {error.message}") from error

    def background(self, trust: HeaderTrust | Tokens, cluster: KubeClient | None) -> Background:
        leading = Leading(
            engine=self.engine,
            loader=self.loader,
            schedule=self.schedule,
            trail=self.trail,
            make_workers=None if self.queue is None else self._workers,
        )
        self.refreshes.wake = leading.wake
        elector = open_elector(self.settings, cluster, self.engine, leading)
        if elector is not None:
            self.health.watch_leading(lambda: leading.is_leading)
        return Background(
            engine=self.engine,
            health=self.health,
            loader=self.loader,
            follower=self.follower,
            statuses=self.statuses,
            links=self.links,
            feed=self.feed,
            trail=self.trail,
            leading=leading,
            elector=elector,
            prepare_schema=schema_step(self.settings, self.engine),
            keys=None if isinstance(trust, HeaderTrust) else trust.keys,
            watch_files=self.settings.paths.watch_enabled,
            reconcile_seconds=self.settings.config_store.reconcile_seconds,
        )

    def _workers(self, fence: Fence | None) -> Workers:
        assert self.queue is not None
        jobs = self.settings.jobs
        run = traced(self.refreshes.run, self.tracing.tracer)
        return Workers(self.queue, run, concurrency=jobs.concurrency, pace=Pace.of(jobs), fence=fence)

    def _control(self) -> SourceControl:
        return SourceControl(
            registry=self.registry,
            configuration=self.configuration,
            statuses=self.statuses,
            loader=self.loader,
            reader=self.reader,
            judge=Judge(self.fetcher, lambda: self.configuration.keys(self.registry.plugins).values()),
            mode=self.settings.config_store.mode,
            tell=self.feed.tell,
            is_shared=self.is_shared,
            at_step=self.at_step,
        )

    def for_metrics(self) -> Parts:
        from catalog_server.bootstrap.metrics import Parts  # with the library of Prometheus

        return Parts(
            measurements=self.measurements,
            health=self.health,
            statuses=self.statuses,
            indexes=self.indexes,
            follower=self.follower,
            trail=self.trail,
            queue=self.queue,
            approvals=self.governance.approvals,
            database=self.settings.database.type,
        )

    def services(self, authorizer: Authorizer, trust: HeaderTrust | Tokens) -> Services:
        settings, cache = self.settings, self.settings.cache
        return Services(
            registry=self.registry,
            indexes=self.indexes,
            reader=self.entity_reader,
            links=self.links,
            configuration=self.configuration,
            statuses=self.statuses,
            health=self.health,
            cache=CacheSettings(
                is_enabled=cache.enabled,
                discovery_ttl=cache.discovery_ttl_seconds,
                capabilities_ttl=cache.capabilities_ttl_seconds,
                max_entries=cache.max_entries,
            ),
            cors_origins=settings.server.cors_origins,
            tenancy_mode=settings.tenancy.mode,
            namespaces=settings.tenancy.namespaces,
            response_cache_bytes=cache.response_bytes,
            authorization_mode=settings.authorization.mode,
            authorizer=authorizer,
            trust=trust,
            control=self._control(),
            refreshes=self.refreshes,
            schedule=self.schedule,
            loader=self.loader,
            fetcher=self.fetcher,
            overlays=self.overlays,
            trail=self.trail,
            governance=self.governance,
            queue=self.queue,
            measurements=self.measurements,
            tracer=self.tracing.tracer,
        )


def schema_step(settings: Settings, engine: Engine) -> Callable[[], object]:
    """What is done about the schema before anything is read."""
    if settings.migration.mode == "check":
        return partial(check_migrated, engine)
    return partial(migrate, engine, lock=settings.migration.lock_enabled)


def migrate_once(settings: Settings) -> bool:
    """Migrate and do nothing else; return whether anything was to do. Raises as `migrate` does, and Invalid."""
    engine = _open_engine(settings)
    _make_data_dir(settings.paths.data_dir)
    try:
        return migrate(engine, lock=settings.migration.lock_enabled)
    finally:
        engine.dispose()


def _open_engine(settings: Settings) -> Engine:
    try:
        return open_engine(parse_dsn(settings.database.dsn.reveal(), settings.database.type))
    except Invalid as error:
        raise Invalid(f"DATABASE_DSN or --db-dsn: {error.message}", field="DATABASE_DSN") from error


def _make_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(
            f"CATALOG_DATA_DIR: the folder {folder} cannot be made: {error.strerror}", field="CATALOG_DATA_DIR"
        ) from error
