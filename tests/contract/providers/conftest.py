"""What the tests of the git provider share: a place with repositories, a provider, and a git server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.providers.git_bench import GitBench
from tests.repositories import GitServer


@pytest.fixture
def bench(tmp_path: Path) -> GitBench:
    return GitBench(tmp_path)


@pytest.fixture
def server(bench: GitBench) -> Iterator[GitServer]:
    with GitServer(bench.root) as server:
        yield server
