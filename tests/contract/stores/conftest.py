"""The three stores, each with the same first content, behind one fixture; and a cluster for the one that needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog_server.kube.access import access_by_url
from catalog_server.kube.client import KubeClient
from catalog_server.sources.stores.base import Store
from catalog_server.sources.stores.file import FileStore
from catalog_server.sources.stores.kubernetes import ConfigMapStore, Place
from catalog_server.sources.stores.none import MemoryStore
from tests.fake_kubernetes import TOKEN, Cluster, serve_cluster

FIRST = b"# first\r\ncatalogs: {}   \n\n"


@dataclass(frozen=True)
class Kubernetes:
    """A cluster of our own and a client for it."""

    cluster: Cluster
    client: KubeClient
    url: str


@dataclass(frozen=True)
class Home:
    """A place for a configuration. Each `open` gives a store of its own, as another replica has it."""

    open: Callable[[], Store]
    max_bytes: int
    kept: int
    """How many older revisions there are at most."""


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    with serve_cluster() as (cluster, url):
        client = KubeClient(access_by_url(url, TOKEN))
        yield Kubernetes(cluster, client, url)
        client.close()


@pytest.fixture
def sources_file(tmp_path: Path) -> Path:
    path = tmp_path / "config" / "sources.yaml"
    path.parent.mkdir()
    path.write_bytes(FIRST)
    return path


def _open_home(request: pytest.FixtureRequest) -> Home:
    if request.param == "none":
        memory = MemoryStore(lambda: FIRST)
        return Home(lambda: memory, 1024 * 1024, 0)
    if request.param == "file":
        path = request.getfixturevalue("sources_file")
        return Home(lambda: FileStore(path), 1024 * 1024, 20)
    client = request.getfixturevalue("kubernetes").client
    return Home(lambda: ConfigMapStore(client, Place(), initial=lambda: FIRST), 900 * 1024, 10)


@pytest.fixture(params=["file", "k8s", "none"])
def home(request: pytest.FixtureRequest) -> Home:
    """Any home. In memory there is but one store."""
    return _open_home(request)


@pytest.fixture(params=["file", "k8s"])
def lasting_home(request: pytest.FixtureRequest) -> Home:
    """A home that outlives the process and has revisions."""
    return _open_home(request)
