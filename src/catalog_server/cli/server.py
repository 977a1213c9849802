"""catalog-server: the process. Opens the socket first, so that probes are answered while the catalog is loaded."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn

from catalog_server import __version__
from catalog_server.bootstrap import Server, build, migrate_once
from catalog_server.bootstrap.sockets import open_socket
from catalog_server.errors import CatalogError
from catalog_server.http.connections import ConnectionLimits, connection_factory
from catalog_server.settings import MIGRATE, Settings, load_or_exit
from catalog_server.sources.stores.replacing import AtStep, no_step
from catalog_server.telemetry.access_log import AccessLog
from catalog_server.telemetry.logs import set_up_logging

_GRACE_SECONDS = 30
# How many new objects until the collector looks at them; at the older ones every 10th time, at all every 1,000th. Reads
# leave no cycles behind, but the parameters of statements are some: they must go before there are megabytes of them.
_COLLECT_AFTER = (2_000, 10, 100)
# Of glibc: by default each thread allocates in an arena of its own, which keeps what was freed in it. Threads of Python
# take turns anyway.
_M_ARENA_MAX, _ARENAS = -8, 2
# A read waits this long for a busy background thread; the default of 5 ms is five times what a read takes.
_SWITCH_SECONDS = 0.0005
# Databases, sources, logs and what else is open beside connections.
_OTHER_FILES = 200
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger(__name__)


def main(at_step: AtStep = no_step) -> None:
    """Entry point of the command. Exit status 1: settings, sources or database are not usable."""
    arguments = sys.argv[1:]
    if arguments[:1] == [MIGRATE]:
        sys.exit(_migrate(load_or_exit(arguments[1:])))
    settings = load_or_exit(arguments)
    gc.set_threshold(*_COLLECT_AFTER)
    _share_arenas()
    sys.setswitchinterval(_SWITCH_SECONDS)
    is_json = set_up_logging(settings.logging.format, settings.logging.level)
    for number in _STOP_SIGNALS:
        signal.signal(number, _end)
    try:
        listener = open_socket(settings.server.listen)
        server = build(settings, AccessLog(is_json), at_step=at_step)
    except CatalogError as error:
        sys.exit(f"catalog-server: {error.message}")
    _announce(settings, listener)
    sys.exit(serve(server, listener, _limits(settings)))


def _share_arenas() -> None:
    """Before there are threads. Other C libraries have no such option, and need none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def _migrate(settings: Settings) -> int:
    """`catalog-server migrate`: for a job of its own that runs before the servers of a new version start."""
    set_up_logging(settings.logging.format, settings.logging.level)
    try:
        has_migrated = migrate_once(settings)
    except CatalogError as error:
        sys.stderr.write(f"catalog-server: {error.message}\n")
        return 1
    log.info("schema is up to date", migrated=has_migrated, database=_database(settings))
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    """A stop that is asked for is a success, also before anything is served."""
    sys.exit(0)


def serve(server: Server, listener: socket.socket, limits: ConnectionLimits) -> int:
    """Serve until a signal comes, or start-up fails for good; return the exit status."""
    http = _HTTP(uvicorn_config(server.app, limits), server)
    for number in _STOP_SIGNALS:  # uvicorn does the same, but later, with the event loop half made
        signal.signal(number, http.handle_exit)
    if server.metrics is not None:
        server.metrics.start()
    server.background.start(on_fatal=http.give_up)
    try:
        http.run(sockets=[listener])
    finally:
        server.close()
    return 1 if server.background.fatal else 0


def uvicorn_config(app: object, limits: ConnectionLimits = ConnectionLimits()) -> uvicorn.Config:  # noqa: B008 - frozen
    """How the application is served. The benchmark's calibration uses the same."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="uvloop",
        http=connection_factory(limits),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # who connects decides whether its headers count: X-Forwarded-For must not change that
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _limits(settings: Settings) -> ConnectionLimits:
    """As set. Each connection is an open file, of which the process may have to ask for more."""
    given = settings.connections
    wanted = given.maximum + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning("fewer connections than CATALOG_MAX_CONNECTIONS: too few open files are allowed", files=soft)
            wanted = soft
    return ConnectionLimits(
        connections=max(1, wanted - _OTHER_FILES),
        head_seconds=given.head_timeout_seconds,
        stalled_seconds=given.stalled_timeout_seconds,
        idle_seconds=given.idle_timeout_seconds,
    )


class _HTTP(uvicorn.Server):
    """uvicorn's server, which tells readiness when it is asked to stop, and ends at once when asked again."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._parts = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        name = signal.Signals(sig).name
        if self._parts.health.is_stopping.is_set():
            log.warning("ended by a second signal, nothing is waited for any more", signal=name)
            self._parts.access_log.flush()
            os._exit(1)
        log.info("stopping", signal=name)
        self._parts.health.is_stopping.set()
        super().handle_exit(sig, frame)
        # uvicorn would raise the signal again when it is done; here a requested stop is a success.
        self._captured_signals.clear()

    def give_up(self) -> None:
        """Stop serving because start-up failed."""
        self.should_exit = True


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = "localhost" if host in ("::", "0.0.0.0") else host  # noqa: S104 - a comparison, not a binding
    log.info(
        "listening",
        version=__version__,
        address=f"http://{f'[{shown}]' if ':' in shown else shown}:{port}",
        sources=[str(path) for path in settings.paths.sources],
        database=_database(settings),
    )


def _database(settings: Settings) -> str:
    """The database in words that hold no secret: the file where it is embedded, else the type."""
    if settings.database.type == "sqlite":
        return f"embedded SQLite, {settings.database.dsn.reveal().removeprefix('sqlite:///')}"
    return settings.database.type


if __name__ == "__main__":
    main()
