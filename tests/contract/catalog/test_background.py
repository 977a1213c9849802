"""Work in the background goes on whatever happens to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from catalog_server.bootstrap import background as module
from catalog_server.bootstrap.background import Background
from catalog_server.bootstrap.leading import Leading
from catalog_server.catalog.links import Links
from catalog_server.catalog.reader import Reader
from catalog_server.cluster.configuration_feed import ConfigurationFeed
from catalog_server.db.migrate import migrate
from catalog_server.health import Health
from catalog_server.scope import DEFAULT_SCOPE
from tests.catalog_files import write_sources
from tests.contract.catalog.site import PATIENCE_SECONDS, REGISTRY, SKILLS, Site
from tests.databases import sqlite_database
from tests.server import wait_until


@contextmanager
def in_background(site: Site, *, watch_files: bool = False, reconcile_seconds: int = 3600) -> Iterator[None]:
    background = Background(
        engine=site.engine,
        health=Health(),
        loader=site.loader,
        follower=site.follower,
        statuses=site.statuses,
        links=Links(REGISTRY, site.indexes),
        feed=ConfigurationFeed(site.engine),
        trail=site.trail,
        leading=Leading(
            engine=site.engine,
            loader=site.loader,
            schedule=site.schedule,
            trail=site.trail,
            make_workers=None,
        ),
        elector=None,
        prepare_schema=partial(migrate, site.engine),
        keys=None,
        watch_files=watch_files,
        reconcile_seconds=reconcile_seconds,
    )
    background.start(on_fatal=lambda: None)
    try:
        yield
    finally:
        background.stop()
    assert background.fatal is None


def source_of(words: str) -> dict[str, object]:
    return {"id": "s", "type": "yaml", "properties": {"path": words}}


def test_reconciliation_when_it_fails_unexpectedly_then_it_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reconcile, has_failed = site.loader.reconcile, threading.Event()

    def fail_once() -> None:
        if not has_failed.is_set():
            has_failed.set()
            raise RuntimeError("nobody thought of that")
        reconcile()

    monkeypatch.setattr(site.loader, "reconcile", fail_once)
    with in_background(site, reconcile_seconds=1):
        assert has_failed.wait(PATIENCE_SECONDS)
        write_sources(site.file, {"skills": [source_of("one")]})
        wait_until("the change", lambda: site.names() == ["one"], PATIENCE_SECONDS)


def test_watching_when_a_folder_cannot_even_be_looked_at_then_the_others_are_watched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = site.loader.wanted
    monkeypatch.setattr(site.loader, "wanted", lambda: wanted() | {site.file.parent / ("x" * 300)})
    with in_background(site, watch_files=True):
        write_sources(site.file, {"skills": [source_of("one")]})
        wait_until("the change", lambda: site.names() == ["one"], PATIENCE_SECONDS)


def shown(site: Site) -> int:
    """How many skills readers find now; nothing is done so that they do."""
    return len(Reader(site.indexes).index(DEFAULT_SCOPE, SKILLS).table)


@pytest.mark.external_service
def test_change_of_another_replica_when_the_database_tells_then_it_is_not_waited_for(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOW_SECONDS", 3600.0)
    site, other = Site(tmp_path, postgres_database), Site(tmp_path / "other", postgres_database)
    with in_background(site):
        for count, words in enumerate(("one", "one two", "one two three"), start=1):
            other.apply(words, source_type="yaml")
            wait_until(f"change {count}", lambda count=count: shown(site) == count, PATIENCE_SECONDS)
    for one in (site, other):
        one.engine.dispose()


def test_configuration_when_another_replica_changes_it_then_taken_into_force(tmp_path: Path) -> None:
    """No file event and no reconciliation tells of it: on Kubernetes there is no file, and the other way is slow."""
    with sqlite_database(tmp_path) as dsn:
        site, other = Site(tmp_path, dsn), Site(tmp_path, dsn)
        with in_background(site):
            other.apply("one", source_type="yaml")
            wait_until("the source", lambda: site.configuration.section(SKILLS).sources, PATIENCE_SECONDS)
            assert [one.id for one in site.configuration.section(SKILLS).sources] == ["s"]
        for one in (site, other):
            one.engine.dispose()
