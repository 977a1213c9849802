"""The sample catalog, loaded once: what the conformance of every plugin is judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog_server.catalog.configuration import ConfigReader, Configuration
from catalog_server.catalog.fetcher import Fetcher
from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.reader import Reader
from catalog_server.catalog.refresher import Refresher
from catalog_server.catalog.registry import Registry, discover
from catalog_server.catalog.status import SourceStatus
from catalog_server.catalog.statuses import Statuses
from catalog_server.catalog.writer import Writer
from catalog_server.providers.git import GitProvider
from catalog_server.providers.yaml import YAMLProvider
from catalog_server.sources.paths import default_roots
from catalog_server.sources.secrets import NoSecrets
from catalog_server.sources.stores.file import FileStore
from tests.databases import sqlite_database
from tests.factories import open_store

SAMPLE = Path(__file__).parents[2] / "catalog" / "config" / "sources.yaml"


@dataclass(frozen=True)
class Sample:
    """The sample catalog in an index."""

    registry: Registry
    indexes: Indexes
    reader: Reader
    statuses: dict[tuple[str, str], SourceStatus]
    warnings: list[str]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    registry = discover()
    configuration = Configuration()
    effective = ConfigReader(FileStore(SAMPLE), (), [plugin.section_key for plugin in registry]).read()
    configuration.put(effective.config, effective.version)
    with sqlite_database(tmp_path_factory.mktemp("sample")) as dsn:
        engine = open_store(dsn).engine
        refresher = Refresher(
            writer=Writer(engine),
            statuses=Statuses(engine, registry),
            fetcher=Fetcher(
                providers={"yaml": YAMLProvider(), "git": GitProvider(tmp_path_factory.mktemp("git"))},
                secrets=NoSecrets(),
                roots=default_roots(SAMPLE),
                base=SAMPLE.parent,
                max_file_bytes=1 << 24,
            ),
        )
        statuses = {
            (plugin.name, source.id): refresher.refresh(plugin, source).status
            for plugin, source in configuration.keys(registry.plugins).values()
        }
        indexes = Indexes(registry)
        Follower(engine, registry, indexes).catch_up()
        yield Sample(registry, indexes, Reader(indexes), statuses, list(effective.warnings))
        engine.dispose()
