"""Each test finds the governance tables and the trail of the shared database empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog_server.audit.spool import Spool
from catalog_server.db.engine import Engine, writing
from catalog_server.db.tables import (
    approval_decisions,
    approval_requests,
    asset_governance,
    asset_versions,
    audit_events,
    env_bindings,
)
from tests.contract.governance.offices import Office
from tests.contract.jobs.queues import open_test_engine

TABLES = (approval_decisions, approval_requests, asset_governance, asset_versions, env_bindings, audit_events)


@pytest.fixture
def engine(migrated: str) -> Iterator[Engine]:
    engine = open_test_engine(migrated)
    with writing(engine) as connection:
        for table in TABLES:
            connection.execute(table.delete())
    yield engine
    engine.dispose()


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Office:
    return Office.open(engine, Spool(tmp_path / "audit"))
