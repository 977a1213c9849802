"""A migrated store on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories import Store, open_store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = open_store(database)
    try:
        yield opened
    finally:
        opened.engine.dispose()
