"""The sample catalog, served inside the test process and by a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.client import Client, open_client
from tests.server import RunningServer, running


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The sample catalog. Shared: a test must not change it."""
    with open_client(tmp_path_factory.mktemp("sample")) as client:
        yield client


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server on the sample catalog with the embedded database. Shared: a test must not change it."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server
