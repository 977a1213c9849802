"""A lease, whoever keeps it: one of two that want it at once gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from catalog_server.cluster.database import DatabaseLease
from catalog_server.cluster.kubernetes import KubernetesLease
from catalog_server.cluster.lease import Lease
from catalog_server.db.engine import Engine
from catalog_server.errors import Conflict, Unavailable
from catalog_server.kube.access import access_by_url
from catalog_server.kube.client import KubeClient
from tests.fake_kubernetes import TOKEN, Cluster, serve_cluster

Open = Callable[[], Lease]


@contextmanager
def kubernetes_leases() -> Iterator[tuple[Cluster, Open]]:
    with serve_cluster() as (cluster, url):
        client = KubeClient(access_by_url(url, TOKEN))
        yield cluster, lambda: KubernetesLease(client, namespace="ns", name="leader", timeout_seconds=5)
        client.close()


@pytest.fixture(params=["database", "kubernetes"])
def open_lease(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Open]:
    if request.param == "database":
        yield lambda: DatabaseLease(engine, "leader")
        return
    with kubernetes_leases() as (_, opened):
        yield opened


def test_lease_when_nobody_ever_had_it_then_the_first_one_gets_it(open_lease: Open) -> None:
    first, second = open_lease(), open_lease()
    assert first.read() is None
    written = first.write("a", 1, 15, over=None)
    assert (written.holder, written.term, written.duration_seconds) == ("a", 1, 15)
    assert second.read() == written
    with pytest.raises(Conflict):
        second.write("b", 1, 15, over=None)
    assert second.read() == written


def test_lease_when_changed_since_it_was_read_then_conflict(open_lease: Open) -> None:
    first, second = open_lease(), open_lease()
    seen = first.write("a", 1, 15, over=None)
    renewed = first.write("a", 1, 15, over=seen)
    assert renewed.version != seen.version
    with pytest.raises(Conflict):
        second.write("b", 2, 15, over=seen)
    taken = second.write("b", 2, 15, over=renewed)
    assert first.read() == taken
    with pytest.raises(Conflict):
        first.write("a", 1, 15, over=renewed)


def test_lease_when_given_back_then_nobody_holds_it(open_lease: Open) -> None:
    lease = open_lease()
    given = lease.write("", 3, 1, over=lease.write("a", 3, 15, over=None))
    assert (given.holder, given.term) == ("", 3)
    assert lease.read() == given


def test_kubernetes_lease_then_as_other_tools_read_it() -> None:
    with kubernetes_leases() as (cluster, opened):
        lease = opened()
        seen = lease.write("pod-1_x", 4, 15, over=None)
        acquired = _spec(cluster)["acquireTime"]
        lease.write("pod-1_x", 4, 15, over=seen)
        spec = _spec(cluster)
    assert spec["holderIdentity"] == "pod-1_x"
    assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (15, 4)
    assert acquired.endswith("Z")
    assert len(spec["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


def test_kubernetes_lease_when_deleted_or_made_by_others_then_conflict_or_nobodys() -> None:
    with kubernetes_leases() as (cluster, opened):
        lease = opened()
        seen = lease.write("a", 1, 15, over=None)
        cluster.objects.clear()
        with pytest.raises(Conflict):
            lease.write("a", 1, 15, over=seen)
        cluster.put("leases", "ns", {"metadata": {"name": "leader"}}, api="apis/coordination.k8s.io/v1")
        bare = lease.read()
        assert bare is not None
        assert (bare.holder, bare.term, bare.duration_seconds) == ("", 0, 0)


def test_kubernetes_lease_when_not_allowed_then_unavailable_with_the_reason() -> None:
    with kubernetes_leases() as (cluster, opened):
        cluster.forbidden = {("GET", "leases"), ("POST", "leases")}
        with pytest.raises(Unavailable, match="leases is forbidden"):
            opened().read()
        with pytest.raises(Unavailable, match="leases is forbidden"):
            opened().write("a", 1, 15, over=None)


def _spec(cluster: Cluster) -> dict[str, str]:
    found = cluster.find("leases", "ns", "leader", api="apis/coordination.k8s.io/v1")
    assert found is not None
    spec: dict[str, str] = found["spec"]
    return spec
