"""What the tests of the remote providers share: servers on loopback, and providers with all that they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.providers.git_bench import GitBench
from tests.contract.providers.http_bench import Authority, HTTPBench, ScriptedServer, make_authority
from tests.repositories import GitServer


@pytest.fixture
def bench(tmp_path: Path) -> GitBench:
    return GitBench(tmp_path)


@pytest.fixture
def server(bench: GitBench) -> Iterator[GitServer]:
    with GitServer(bench.root) as server:
        yield server


@pytest.fixture
def http_bench(tmp_path: Path) -> HTTPBench:
    return HTTPBench(tmp_path)


@pytest.fixture
def web() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls") / "authority")
