"""A migrated store on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.catalog.site import Site
from tests.databases import sqlite_database
from tests.factories import Store, open_store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = open_store(database)
    try:
        yield opened
    finally:
        opened.engine.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_database(tmp_path) as dsn:
        made = Site(tmp_path, dsn)
        yield made
        made.engine.dispose()
