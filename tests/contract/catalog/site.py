"""The parts that manage sources, put together in this process, with a provider whose fetches stop where a test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.catalog.configuration import ConfigReader, Configuration
from catalog_server.catalog.control import Caller, SourceControl
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.judging import Judge
from catalog_server.catalog.loader import Loader
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.refresh_limits import RefreshLimits
from catalog_server.catalog.refresher import Refresher
from catalog_server.catalog.refreshes import Refreshes
from catalog_server.catalog.registry import discover
from catalog_server.catalog.schedule import Schedule
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import SourceKey, Writer
from catalog_server.cluster.configuration_feed import ConfigurationFeed
from catalog_server.errors import CatalogError, Unavailable
from catalog_server.providers.base import Fetched, FetchedFile, FileAccess
from catalog_server.scope import DEFAULT_SCOPE
from catalog_server.settings import Audit
from catalog_server.sources.paths import Roots
from catalog_server.sources.secrets import NoSecrets
from catalog_server.sources.stores.file import FileStore
from tests.catalog_files import catalog_text, named, write_sources
from tests.factories import open_store

REGISTRY = discover()
SKILLS = REGISTRY.plugins["skills"]
PATIENCE_SECONDS = 20.0


class GatedProvider:
    """Gives a skill for each word of `properties.path`; at a closed gate a fetch waits until it is opened."""

    takes_globs = False

    def __init__(self, *, is_remote: bool) -> None:
        self.is_remote = is_remote
        self.entered = threading.Event()
        self._gate = threading.Event()
        self._gate.set()

    def close(self) -> None:
        self._gate.clear()
        self.entered.clear()

    def open(self) -> None:
        self._gate.set()

    def check(self, properties: Mapping[str, Any], files: FileAccess) -> None:
        pass

    def fetch(self, properties: Mapping[str, Any], files: FileAccess) -> Fetched:
        self.entered.set()
        assert self._gate.wait(PATIENCE_SECONDS)
        names = str(properties["path"]).split()
        if "down" in names:
            raise Unavailable("the source is down")
        return Fetched((FetchedFile("skills.yaml", catalog_text("skills", named(*names)).encode()),))

    def watched(self, properties: Mapping[str, Any], files: FileAccess) -> tuple[Path, ...]:
        return ()

    def sync_interval(self, properties: Mapping[str, Any]) -> timedelta | None:
        return None


class Site:
    """Sources of skills: of type `git` they are remote, of type `yaml` local."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.file = write_sources(folder / "sources.yaml", {})
        self.engine = open_store(dsn).engine
        self.remote, self.local = GatedProvider(is_remote=True), GatedProvider(is_remote=False)
        self.configuration, self.statuses = Configuration(), Statuses(self.engine, REGISTRY)
        self.fetcher = Fetcher(
            providers={"git": self.remote, "yaml": self.local},
            secrets=NoSecrets(),
            roots=Roots((folder,)),
            base=folder,
            max_file_bytes=1 << 20,
        )
        self.refresher = Refresher(
            writer=Writer(self.engine), statuses=self.statuses, fetcher=self.fetcher, says=self.configuration.says
        )
        self.trail = Trail(
            self.engine, Spool(folder / "audit"), Audit(enabled=True, retention_days=90, log_denied=True)
        )
        self.indexes = Indexes(REGISTRY)
        self.follower = Follower(self.engine, REGISTRY, self.indexes)
        self.loader, self.control, self.refreshes = self._managers()
        self.schedule = Schedule(
            registry=REGISTRY,
            configuration=self.configuration,
            statuses=self.statuses,
            fetcher=self.fetcher,
            ask=self.refreshes.schedule,
        )
        self.loader.take_configuration()
        self.loader.load()

    def _managers(self) -> tuple[Loader, SourceControl, Refreshes]:
        reader = ConfigReader(FileStore(self.file), (), [plugin.section_key for plugin in REGISTRY])
        loader = Loader(
            engine=self.engine,
            registry=REGISTRY,
            configuration=self.configuration,
            statuses=self.statuses,
            refresher=self.refresher,
            fetcher=self.fetcher,
            reader=reader,
            files=(self.file,),
            after_write=self.follower.catch_up,
        )
        control = SourceControl(
            registry=REGISTRY,
            configuration=self.configuration,
            statuses=self.statuses,
            loader=loader,
            reader=reader,
            judge=Judge(self.fetcher, lambda: self.configuration.keys(REGISTRY.plugins).values()),
            mode="file",
            is_shared=False,
            tell=ConfigurationFeed(self.engine).tell,
        )
        refreshes = Refreshes(
            registry=REGISTRY,
            configuration=self.configuration,
            refresher=self.refresher,
            queue=None,
            after_write=self.follower.catch_up,
            limits=RefreshLimits(interval_seconds=0),
        )
        return loader, control, refreshes

    def apply(self, words: str, source_id: str = "s", source_type: str = "git", **given: Any) -> None:
        source = {"id": source_id, "name": source_id, "type": source_type, "properties": {"path": words}, **given}
        self.control.apply(DEFAULT_SCOPE, SKILLS, source, by=Caller("ann"))

    def set_enabled(self, enabled: bool, source_id: str = "s") -> None:
        self.control.set_enabled(DEFAULT_SCOPE, SKILLS, source_id, enabled, by=Caller("ann"))

    def delete(self, source_id: str = "s") -> None:
        self.control.delete(DEFAULT_SCOPE, SKILLS, source_id, by=Caller("ann"))

    def refresh(self, source_id: str | None = "s") -> Any:
        return self.refreshes.request(DEFAULT_SCOPE, SKILLS, source_id, "ann")

    def status(self, source_id: str = "s") -> SourceStatus | None:
        """As it is stored."""
        self.statuses.follow()
        return self.statuses.get(self.key(source_id))

    def key(self, source_id: str = "s") -> SourceKey:
        return SourceKey(DEFAULT_SCOPE, SKILLS.name, SKILLS.kind.name, source_id)

    def names(self) -> list[str]:
        self.follower.catch_up()
        table = Reader(self.indexes).index(DEFAULT_SCOPE, SKILLS).table
        return sorted(str(value) for value in table.columns["name"].texts.texts())

    @contextmanager
    def at_gate(self, provider: GatedProvider, work: Any, *arguments: Any) -> Iterator[list[Any]]:
        """While `work` waits in a fetch, in a thread of its own. It goes on afterwards, and has ended then."""
        done: list[Any] = []

        def run() -> None:
            try:
                done.append(work(*arguments))
            except CatalogError as error:  # handed to the test
                done.append(error)

        provider.close()
        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert provider.entered.wait(PATIENCE_SECONDS)
            yield done
        finally:
            provider.open()
            thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
