"""What every test may use: fresh databases, hypothesis profiles, and the guard that keeps unit tests pure."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from tests.databases import SERVERS, server_database, server_dsn, services_required, sqlite_database
from tests.exploring import IS_EXPLORING

MINUTES = Path(__file__).parent / "http/test_schemathesis.py"
UNIT_TESTS = Path(__file__).parent / "unit"
MAKE_SAMPLE_REPO = Path(__file__).parent.parent / "tools/make_sample_repo.py"
KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL")
KEPT_PREFIXES = ("PYTEST_", "PYTHON", "COVERAGE_", "COV_")
REFUSED_SOCKET_CALLS = ("connect", "connect_ex", "bind", "listen", "sendto", "sendmsg")

# A change must not fail for what it has not touched, so a run takes the same examples as the one before; `make explore`
# takes others, and more of them.
hypothesis.settings.register_profile(
    "same",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "explore",
    parent=hypothesis.settings.get_profile("same"),
    max_examples=200,
    derandomize=False,
    print_blob=True,
)
hypothesis.settings.load_profile("explore" if IS_EXPLORING else "same")


def pytest_sessionstart(session: pytest.Session) -> None:
    """The sample catalog has a source in a git repository, which is made from files."""
    if not hasattr(session.config, "workerinput"):  # once, before the workers begin
        subprocess.run([sys.executable, str(MAKE_SAMPLE_REPO)], check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of minutes come first: what is left for the end is short, and no process waits for another."""
    items.sort(key=lambda item: item.path != MINUTES)


@pytest.fixture(
    params=["sqlite", *(pytest.param(engine, marks=pytest.mark.external_service) for engine in SERVERS)],
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DSN of a fresh, empty database; a test that asks for it runs once per kind of database."""
    with _fresh_database(request.param, tmp_path) as dsn:
        yield dsn


@pytest.fixture
def postgres_database(tmp_path: Path) -> Iterator[str]:
    """The same, of PostgreSQL only. The test carries the mark `external_service`."""
    with _fresh_database("postgres", tmp_path) as dsn:
        yield dsn


def _fresh_database(engine: str, folder: Path) -> AbstractContextManager[str]:
    if engine == "sqlite":
        return sqlite_database(folder)
    server = server_dsn(engine)
    if server is None:
        _refuse_missing_service(f"{SERVERS[engine]} is not set; run: python tools/services.py run -- pytest")
    return server_database(engine, server)


def _refuse_missing_service(reason: str) -> NoReturn:
    if services_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def pure_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests see no network and no environment but what a test itself sets with `monkeypatch.setenv`.

    Socket pairs stay possible: an event loop makes one to wake itself.
    """
    if not request.node.path.is_relative_to(UNIT_TESTS):
        return
    for name in os.environ:
        if name not in KEPT_VARIABLES and not name.startswith(KEPT_PREFIXES):
            monkeypatch.delenv(name)
    for call in REFUSED_SOCKET_CALLS:
        monkeypatch.setattr(socket.socket, call, _refuse_network)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse_network)


def _refuse_network(*_arguments: object, **_options: object) -> NoReturn:
    raise AssertionError("a unit test must not use the network; such a test belongs into tests/contract or tests/http")
