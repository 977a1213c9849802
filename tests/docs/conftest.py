"""The sample catalog on a real server, one for all pages of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server import running


@pytest.fixture(scope="session")
def sample_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port; pages call it `localhost:8080`."""
    with running(tmp_path_factory.mktemp("sample")) as server:
        yield server.url.removeprefix("http://")
