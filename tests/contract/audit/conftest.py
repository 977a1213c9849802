"""Each test finds the trail of the shared database empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import audit_events
from tests.contract.audit.trails import build_trail
from tests.contract.jobs.queues import open_test_engine


@pytest.fixture
def engine(migrated: str) -> Iterator[Engine]:
    engine = open_test_engine(migrated)
    with writing(engine) as connection:
        connection.execute(audit_events.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "audit")


@pytest.fixture
def trail(engine: Engine, spool: Spool) -> Trail:
    return build_trail(engine, spool)
