"""Each test finds the queue of the shared database empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import refresh_jobs
from catalog_server.jobs.queue import Queue
from tests.contract.jobs.queues import ManualClock, build_queue, open_test_engine


@pytest.fixture
def engine(migrated: str) -> Iterator[Engine]:
    engine = open_test_engine(migrated)
    with writing(engine) as connection:
        connection.execute(refresh_jobs.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(engine: Engine, clock: ManualClock) -> Queue:
    return build_queue(engine, clock)
