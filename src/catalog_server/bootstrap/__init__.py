"""The one place where concrete classes meet: settings -> a server that can be run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from catalog_server.bootstrap.background import Background
from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.links import Links
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.refresher import Refresher
from catalog_server.catalog.registry import Registry, discover
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Writer
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import Engine, open_engine
from catalog_server.errors import Invalid
from catalog_server.health import Health
from catalog_server.http.app import App, build_app
from catalog_server.http.services import CacheSettings, Services
from catalog_server.providers.yaml import YAMLProvider
from catalog_server.settings import Settings
from catalog_server.sources.paths import Roots, default_roots
from catalog_server.telemetry import AccessLog


@dataclass(frozen=True)
class Server:
    """All that a process is made of. `close` it when done."""

    app: App
    engine: Engine
    health: Health
    background: Background
    access_log: AccessLog

    def close(self) -> None:
        """Stop background work, write what is left of the log, give the database back."""
        self.background.stop()
        self.access_log.flush()
        self.engine.dispose()


def build(settings: Settings, access_log: AccessLog, registry: Registry | None = None) -> Server:
    """Put the parts together. Nothing runs and no database is connected yet.

    Raises:
        Invalid: a plugin, the DSN or the sources files are wrong.
    """
    _refuse_unprotected(settings)
    registry = registry or discover()
    engine = _open_engine(settings)
    _make_data_dir(settings.paths.data_dir)
    health, configuration = Health(), Configuration()
    statuses = Statuses(engine, registry)
    indexes = Indexes(registry, settings.paths.data_dir / "spool")
    follower = Follower(engine, registry, indexes)
    links = Links(registry, indexes)
    loader = Loader(
        engine=engine,
        registry=registry,
        configuration=configuration,
        statuses=statuses,
        refresher=_build_refresher(settings, engine, statuses),
        files=settings.paths.sources,
        after_write=follower.catch_up,
    )
    loader.take_configuration()
    health.watch_plugins(loader.healthy)
    background = Background(
        engine=engine,
        health=health,
        loader=loader,
        follower=follower,
        statuses=statuses,
        links=links,
        lock_migrations=settings.migration.lock_enabled,
        watch_files=settings.paths.watch_enabled,
    )
    services = _build_services(settings, registry, indexes, links, configuration, statuses, health)
    return Server(build_app(services, access_log), engine, health, background, access_log)


def _refuse_unprotected(settings: Settings) -> None:
    """Whoever asks for protection that this release does not have must not get a server without it."""
    for variable, value, harmless in (
        ("CATALOG_AUTHZ_MODE", settings.authorization.mode, "none"),
        ("CATALOG_AUTH_MODE", settings.authentication.mode, "header"),
    ):
        if value != harmless:
            raise Invalid(
                f"{variable}: {value!r} is for a later release, and unsafe to serve without; use {harmless!r}",
                field=variable,
            )


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


def _roots(settings: Settings) -> Roots:
    """The folders that sources may read from: as set, else those that belong to each sources file."""
    if settings.paths.data_roots:
        return Roots(settings.paths.data_roots)
    folders = [path for file in settings.paths.sources for path in default_roots(file).paths]
    return Roots(tuple(dict.fromkeys(folders)))


def _build_refresher(settings: Settings, engine: Engine, statuses: Statuses) -> Refresher:
    return Refresher(
        writer=Writer(engine),
        statuses=statuses,
        providers={"yaml": YAMLProvider()},
        roots=_roots(settings),
        base=Path(settings.paths.sources[0]).absolute().parent,
        max_file_bytes=settings.limits.max_file_bytes,
    )


def _build_services(  # noqa: PLR0913 - the composition root hands on what it made
    settings: Settings,
    registry: Registry,
    indexes: Indexes,
    links: Links,
    configuration: Configuration,
    statuses: Statuses,
    health: Health,
) -> Services:
    cache = settings.cache
    return Services(
        registry=registry,
        indexes=indexes,
        reader=Reader(indexes),
        links=links,
        configuration=configuration,
        statuses=statuses,
        health=health,
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
    )
