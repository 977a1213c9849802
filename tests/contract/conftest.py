"""One migrated database per kind and test process, for tests that clear the tables they use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog_server.db.migrate import migrate
from tests.contract.jobs.queues import open_test_engine
from tests.databases import SERVERS, server_database, server_dsn, services_required, sqlite_database


@pytest.fixture(
    scope="session",
    params=["sqlite", *(pytest.param(engine, marks=pytest.mark.external_service) for engine in SERVERS)],
)
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a database at the head revision, shared because migrating takes longer than most tests."""
    kind = request.param
    server = server_dsn(kind) if kind in SERVERS else None
    if kind in SERVERS and server is None:
        (pytest.fail if services_required() else pytest.skip)(f"{SERVERS[kind]} is not set")
    folder = tmp_path_factory.mktemp("shared")
    with server_database(kind, server) if server else sqlite_database(folder) as dsn:
        engine = open_test_engine(dsn)
        migrate(engine)
        engine.dispose()
        yield dsn
