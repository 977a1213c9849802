"""Brings the store in line with the configuration: loads every source, removes what is configured no more.

For: start, a changed file, and a configuration that was changed by whomever. Local sources are loaded here and now;
remote ones, which may take long, are left to schedule.py. What could not be done because the database was down stays
due, and is done when it is asked for again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from catalog_server.catalog import sql
from catalog_server.catalog.configuration import ConfigReader, Configuration, Effective, differ
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.links import Links
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import Refresher, key_of
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import SourceKey
from catalog_server.clock import clock_ms
from catalog_server.db.engine import Engine, reading
from catalog_server.errors import CatalogError, Invalid
from catalog_server.scope import DEFAULT_SCOPE, Scope
from catalog_server.sources.config import Source

_SHOWN_LINKS = 20
Key = tuple[str, str, str]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the last look at the configuration found. `at` in ms since the epoch; `error` says why it was refused."""

    at: int
    result: str
    """unchanged | changed | refused"""
    error: str | None = None


class Loader:
    """Loads sources, all of them or those whose files or configuration changed. One thread at a time."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        engine: Engine,
        registry: Registry,
        configuration: Configuration,
        statuses: Statuses,
        refresher: Refresher,
        fetcher: Fetcher,
        reader: ConfigReader,
        files: Sequence[Path],
        after_write: Callable[[], object],
        is_shared: bool = False,
    ) -> None:
        self._engine = engine
        self._is_shared = is_shared
        self._registry = registry
        self._configuration = configuration
        self._statuses = statuses
        self._refresher = refresher
        self._fetcher = fetcher
        self._reader = reader
        self.files = tuple(path.absolute() for path in files)
        """Local files that the configuration is made of."""
        self._after_write = after_write
        self._lock = threading.Lock()
        self._taking = threading.RLock()
        self._due: set[Key] = set()
        self._must_sweep = True
        self._reason: str | None = None
        self.reconciled: Reconciled | None = None

    # --- the configuration ---

    @property
    def is_configured(self) -> bool:
        """Whether a configuration was ever read."""
        return bool(self._configuration.store_version)

    @property
    def changing(self) -> threading.RLock:
        """Held by who changes the store, so that nobody takes half of a change into force."""
        return self._taking

    def take_configuration(self) -> None:
        """Read the configuration and take it into force.

        Raises:
            Invalid: it is missing or wrong; nothing changed.
            Unavailable: its store cannot be read; nothing changed.
        """
        with self._taking:
            self.put(self._reader.read())
            self._reason = None

    def put(self, effective: Effective) -> bool:
        """Take a configuration into force, and mark as due what it changes; whether there was anything new."""
        with self._taking:
            is_same = self.is_configured and effective.config == self._configuration.current
            self._reconciled("unchanged" if is_same else "changed")
            if is_same:
                self._configuration.confirm(effective.version)
                return False
            for warning in effective.warnings:
                log.warning("configuration", problem=warning)
            before = self._keys()
            self._configuration.put(effective.config, effective.version)
            after = self._keys()
            self._due |= {key for key, pair in after.items() if key not in before or differ(before[key][1], pair[1])}
            self._must_sweep = True
            return True

    def reconcile(self) -> None:
        """The same while the server runs: what is wrong keeps the last good configuration and is reported."""
        try:
            self.take_configuration()
        except CatalogError as error:
            problem = self.told(error)
            if self._reason != error.message:
                log.error("configuration refused, the last good one stays", reason=error.message)
            self._reason = error.message
            self._configuration.problem = problem
            self._reconciled("refused", problem)

    def told(self, error: CatalogError) -> str:
        """What clients may know of a fault. Where tenants share a file, its faults may speak of the others' sources."""
        if self._is_shared and isinstance(error, Invalid):
            return "a file of the configuration is not valid; the log of the server says where"
        return self.shown(error.message)

    def shown(self, message: str) -> str:
        """Clients may see the reason; where the files lie on this machine is none of their business."""
        folders = {folder for path in self.files for folder in (path.parent, Path(os.path.realpath(path)).parent)}
        for folder in sorted(folders, reverse=True):  # the longest of those that lie in each other first
            if folder != Path(folder.anchor):
                message = message.replace(f"{folder}/", "").replace(f"the folder {folder}", str(folder))
                message = message.replace(str(folder), "the folder of the sources file")
        return message

    def _reconciled(self, result: str, error: str | None = None) -> None:
        self.reconciled = Reconciled(clock_ms(), result, error)

    def _keys(self) -> dict[Key, tuple[Plugin, Source]]:
        return self._configuration.keys(self._registry.plugins)

    # --- the sources ---

    def touch(self, changed: Iterable[Path]) -> None:
        """Mark the sources that are made of these files as due."""
        paths = set(changed)
        for key, (_, source) in self._keys().items():
            if paths & set(self._fetcher.watched(source)):
                self._due.add(key)

    def touch_all(self) -> None:
        """Mark every source as due."""
        self._due |= set(self._keys())
        self._must_sweep = True

    def touch_failed(self) -> None:
        """Mark the sources that could not be loaded as due: what stood in their way may be gone."""
        for key, (plugin, source) in self._keys().items():
            status = self._statuses.get(key_of(plugin, source))
            if status is not None and status.state == "error" and self._is_mine(source):
                self._due.add(key)

    @property
    def is_loaded(self) -> bool:
        """Whether all local sources were loaded at some time, by this process or another one."""
        return all(
            self._statuses.get(key_of(plugin, source)) is not None
            for plugin, source in self._keys().values()
            if source.enabled and self._is_mine(source)
        )

    @property
    def is_due(self) -> bool:
        return self._must_sweep or bool(self._due)

    def load(self) -> None:
        """Do what is due.

        Raises:
            Unavailable: the database is down; what is not done stays due.
        """
        with self._lock:
            if self._must_sweep:
                self._sweep()
            for key in sorted(self._due):
                self._do(key)
            self._after_write()

    # What is to be done is crossed off before it is done: whoever changes it meanwhile puts it on the list again.

    def _sweep(self) -> None:
        self._must_sweep = False
        try:
            self._statuses.follow()
            self._remove_vanished(self._keys())
        except BaseException:
            self._must_sweep = True
            raise

    def _do(self, key: Key) -> None:
        self._due.discard(key)
        namespace, plugin_name, source_id = key
        plugin = self._registry.plugins[plugin_name]
        source = self._configuration.find(Scope(namespace), plugin, source_id)
        if source is None or not self._is_mine(source):
            return
        try:
            self._refresher.refresh(plugin, source)
        except BaseException:
            self._due.add(key)
            raise

    def _is_mine(self, source: Source) -> bool:
        """A remote source is fetched by its schedule; to forget one that is switched off is quick."""
        return not source.enabled or not self._fetcher.is_remote(source)

    def watched(self) -> set[Path]:
        """All local files that matter: the configuration's and the sources'."""
        data = {path for _, source in self._keys().values() for path in self._fetcher.watched(source)}
        return data | set(self.files)

    def wanted(self) -> set[Path]:
        """Folders to watch: those of all files, also of files that do not exist yet."""
        return {path.parent for path in self.watched()}

    def report_links(self, links: Links) -> None:
        """Say once which links lead nowhere: a fact worth knowing, not a failure."""
        for namespace in sorted({source.namespace for _, source in self._keys().values()}):
            for plugin in filter(links.has_links, self._registry):
                for name, link in links.dangling(Scope(namespace), plugin)[:_SHOWN_LINKS]:
                    log.warning(
                        "dangling link",
                        namespace=namespace,
                        entity=f"{plugin.kind.name}/{name}",
                        field=link.field,
                        target=f"{link.kind}/{link.name}",
                    )

    def healthy(self, scope: Scope | None = None) -> dict[str, bool]:
        """Plugin -> healthy, for one tenant: not one whose enabled sources are all in error while it holds nothing.

        A plugin that still serves the last good set is healthy: taking the whole server out of rotation for one broken
        file would turn a stale answer into none. For the server (no scope) that several tenants share, no plugin is
        unhealthy by its sources: what one tenant configures must not take the server away from the others.
        """
        if scope is None and self._is_shared:
            return {plugin.name: True for plugin in self._registry}
        return {plugin.name: self._is_healthy(scope or DEFAULT_SCOPE, plugin) for plugin in self._registry}

    def _is_healthy(self, scope: Scope, plugin: Plugin) -> bool:
        enabled = [
            one
            for one in self._configuration.section(plugin).sources
            if one.enabled and one.namespace == scope.namespace
        ]
        return not enabled or any(self._is_serving(plugin, one) for one in enabled)

    def _is_serving(self, plugin: Plugin, source: Source) -> bool:
        status = self._statuses.get(key_of(plugin, source))
        return status is None or status.state != "error" or status.entity_count > 0

    def _remove_vanished(self, configured: dict[Key, tuple[Plugin, Source]]) -> None:
        with reading(self._engine) as connection:
            stored = sql.read_source_ids(connection)
        for namespace, plugin_name, source_id in sorted(stored - set(configured)):
            plugin = self._registry.get(plugin_name)
            if plugin is not None:
                self._refresher.remove(SourceKey(Scope(namespace), plugin_name, plugin.kind.name, source_id))
