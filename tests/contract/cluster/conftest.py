"""One database per kind for all tests here, with nothing in it about leaders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import delete

from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import leader_terms, leases
from tests.contract.jobs.queues import open_test_engine


@pytest.fixture
def engine(migrated: str) -> Iterator[Engine]:
    opened = open_test_engine(migrated)
    with writing(opened) as connection:
        connection.execute(delete(leader_terms))
        connection.execute(delete(leases))
    yield opened
    opened.dispose()
