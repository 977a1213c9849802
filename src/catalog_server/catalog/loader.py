"""Brings the store in line with the configuration: loads every source, removes what is configured no more.

What could not be done because the database was down stays due, and is done when it is asked for again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from catalog_server.catalog import sql
from catalog_server.catalog.configuration import Configuration, read_config
from catalog_server.catalog.links import Links
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.refresher import Refresher, key_of
from catalog_server.catalog.registry import Registry
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import SourceKey
from catalog_server.db.engine import Engine, reading
from catalog_server.errors import Invalid
from catalog_server.scope import Scope
from catalog_server.sources.config import Source

_SHOWN_LINKS = 20
Key = tuple[str, str, str]
log = structlog.get_logger(__name__)


class Loader:
    """Loads sources, all of them or those whose files changed. One thread at a time."""

    def __init__(  # noqa: PLR0913 - made in one place, by name
        self,
        *,
        engine: Engine,
        registry: Registry,
        configuration: Configuration,
        statuses: Statuses,
        refresher: Refresher,
        files: Sequence[Path],
        after_write: Callable[[], object],
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._configuration = configuration
        self._statuses = statuses
        self._refresher = refresher
        self.files = files
        self._after_write = after_write
        self._lock = threading.Lock()
        self._due: set[Key] | None = None  # None: all of them

    def take_configuration(self) -> None:
        """Read the sources files and take them into force.

        Raises:
            Invalid: they are missing or wrong; nothing changed.
        """
        config, warnings = read_config(self.files, [plugin.section_key for plugin in self._registry])
        if config == self._configuration.current:
            self._configuration.problem = None
            return
        for warning in warnings:
            log.warning("configuration", problem=warning)
        self._configuration.put(config)
        self._due = None

    def retake_configuration(self) -> None:
        """The same while the server runs: files that are wrong keep the last good configuration and are reported."""
        try:
            self.take_configuration()
        except Invalid as error:
            problem = self._without_folders(error.message)
            if self._configuration.problem != problem:
                log.error("configuration refused, the last good one stays", reason=error.message)
            self._configuration.problem = problem

    def _without_folders(self, message: str) -> str:
        """Clients may see the reason; where the files lie on this machine is none of their business."""
        for path in self.files:
            message = message.replace(f"{path.absolute().parent}/", "")
        return message

    def touch(self, changed: set[Path]) -> None:
        """Mark the sources that are made of these files as due."""
        if self._due is None:
            return
        for key, (_, source) in self._configuration.keys(self._registry.plugins).items():
            if changed & set(self._refresher.watched(source)):
                self._due.add(key)

    @property
    def is_due(self) -> bool:
        return self._due is None or bool(self._due)

    def load(self) -> None:
        """Do what is due.

        Raises:
            Unavailable: the database is down; what is not done stays due.
        """
        with self._lock:
            configured = self._configuration.keys(self._registry.plugins)
            if self._due is None:
                self._statuses.follow()
                self._remove_vanished(configured)
                self._due = set(configured)
            for key in sorted(self._due & set(configured)):
                self._refresher.refresh(*configured[key])
                self._due.discard(key)
            self._due.clear()
            self._after_write()

    def watched(self) -> set[Path]:
        """All local files that matter: the configuration's and the sources'."""
        configured = self._configuration.keys(self._registry.plugins)
        data = {path for _, source in configured.values() for path in self._refresher.watched(source)}
        return data | {path.absolute() for path in self.files}

    def wanted(self) -> set[Path]:
        """Folders to watch: those of all files, also of files that do not exist yet."""
        return {path.parent for path in self.watched()} | {path.absolute().parent for path in self.files}

    def report_links(self, links: Links) -> None:
        """Say once which links lead nowhere: a fact worth knowing, not a failure."""
        namespaces = {source.namespace for _, source in self._configuration.keys(self._registry.plugins).values()}
        for namespace in sorted(namespaces):
            for plugin in filter(links.has_links, self._registry):
                for name, link in links.dangling(Scope(namespace), plugin)[:_SHOWN_LINKS]:
                    log.warning(
                        "dangling link",
                        namespace=namespace,
                        entity=f"{plugin.kind.name}/{name}",
                        field=link.field,
                        target=f"{link.kind}/{link.name}",
                    )

    def healthy(self) -> dict[str, bool]:
        """Plugin -> healthy: not one whose enabled sources are all in error while it holds nothing.

        A plugin that still serves the last good set is healthy: taking the whole server out of rotation for one broken
        file would turn a stale answer into none.
        """
        by_plugin: dict[str, list[tuple[Plugin, Source]]] = {plugin.name: [] for plugin in self._registry}
        for plugin, source in self._configuration.keys(self._registry.plugins).values():
            if source.enabled:
                by_plugin[plugin.name].append((plugin, source))
        return {name: not pairs or any(self._is_serving(*pair) for pair in pairs) for name, pairs in by_plugin.items()}

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
