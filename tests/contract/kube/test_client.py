"""The Kubernetes client over real HTTP: objects, errors, the deadline, tokens that are renewed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog_server.errors import CatalogError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from catalog_server.kube.access import Access, FileToken, access_by_url, access_in_cluster
from catalog_server.kube.client import KubeClient
from catalog_server.kube.resources import CONFIG_MAPS, LEASES, SECRETS, SUBJECT_ACCESS_REVIEWS
from tests.fake_kubernetes import TOKEN, Cluster, Refused, serve_cluster


@pytest.fixture
def served() -> Iterator[tuple[Cluster, KubeClient]]:
    with serve_cluster() as (cluster, url):
        client = KubeClient(access_by_url(url, TOKEN))
        yield cluster, client
        client.close()


Served = tuple[Cluster, KubeClient]


def test_object_when_made_changed_and_deleted_then_as_the_api_says(served: Served) -> None:
    _, client = served
    made = client.create(LEASES, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}, namespace="ns")
    made["spec"]["holderIdentity"] = "b"
    changed = client.replace(LEASES, made, namespace="ns")
    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert client.get(LEASES, "leader", namespace="ns")["spec"] == {"holderIdentity": "b"}
    with pytest.raises(Conflict, match="409: Operation cannot be fulfilled"):
        client.replace(LEASES, made, namespace="ns")
    with pytest.raises(Conflict, match="already exists"):
        client.create(LEASES, {"metadata": {"name": "leader"}}, namespace="ns")
    client.delete(LEASES, "leader", namespace="ns")
    with pytest.raises(NotFound, match=r'404: leases "leader" not found'):
        client.get(LEASES, "leader", namespace="ns")


def test_list_then_all_pages_of_what_carries_the_labels(served: Served) -> None:
    cluster, client = served
    for index in range(250):
        labels = {"even": str(index % 2 == 0)}
        cluster.put("configmaps", "ns", {"metadata": {"name": f"c{index}", "labels": labels}})
    assert len(list(client.list(CONFIG_MAPS, namespace="ns"))) == 250
    assert len(list(client.list(CONFIG_MAPS, namespace="ns", labels={"even": "True"}))) == 125
    assert list(client.list(CONFIG_MAPS, namespace="other")) == []


def test_subject_access_review_then_answered(served: Served) -> None:
    cluster, client = served
    cluster.allows = lambda spec: bool(spec["user"] == "ann")
    for user in ("ann", "bob"):
        spec = {"user": user, "resourceAttributes": {"group": "g", "resource": "r", "verb": "get"}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
        answer = client.create(SUBJECT_ACCESS_REVIEWS, review)
        assert answer["status"]["allowed"] == (user == "ann")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Forbidden), (404, NotFound), (409, Conflict), (400, Unavailable), (422, Unavailable), (500, Unavailable)],
)
def test_refusal_then_a_kind_of_ours(served: Served, status: int, kind: type[CatalogError]) -> None:
    cluster, client = served

    def before(method: str, path: str) -> None:
        raise Refused(status, "Reason", "the message")

    cluster.before = before
    with pytest.raises(kind, match=f"GET /api/v1/namespaces/ns/secrets/s: {status}: the message") as caught:
        client.get(SECRETS, "s", namespace="ns")
    assert type(caught.value) is kind
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("name", ["..", "a/b", "", "A", "a_b", "a?", "a..b", "-a", "a" * 254, "a\n"])
def test_name_that_is_none_then_invalid_and_not_asked_for(served: Served, name: str) -> None:
    cluster, client = served
    with pytest.raises(Invalid):
        client.get(SECRETS, name, namespace="ns")
    with pytest.raises(Invalid):
        client.get(SECRETS, "s", namespace=name)
    assert cluster.requests == []


def test_connection_then_used_again_and_renewed_when_the_server_hung_up(served: Served) -> None:
    cluster, client = served
    cluster.put("secrets", "ns", {"metadata": {"name": "s"}})
    client.get(SECRETS, "s", namespace="ns")
    [connection] = client._idle
    client.get(SECRETS, "s", namespace="ns")
    assert client._idle == [connection]
    connection.sock.shutdown(socket.SHUT_RD)
    client.get(SECRETS, "s", namespace="ns")
    assert client._idle != [connection]


@pytest.mark.parametrize("drip", [b"", b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_request_when_answer_comes_too_slowly_then_ends_in_time(drip: bytes) -> None:
    """A byte now and then would keep a plain socket timeout from ever striking."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(drip)
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"x" if drip else b"")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        client = KubeClient(access_by_url(f"http://127.0.0.1:{server.getsockname()[1]}"), timeout_seconds=0.3)
        with pytest.raises(Unavailable, match="no answer in time"):
            client.get(SECRETS, "s", namespace="ns")
        stop.set()
        thread.join()


def test_request_when_nobody_listens_then_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="Connection refused"):
        KubeClient(access_by_url(f"http://127.0.0.1:{port}")).get(SECRETS, "s", namespace="ns")


def test_request_when_answer_is_no_object_then_unavailable(served: Served) -> None:
    cluster, client = served
    for answer in ("[1]", "nonsense"):
        cluster.answer = lambda *_: (200, answer)  # type: ignore[assignment]  # noqa: B023
        with pytest.raises(Unavailable, match="is no object"):
            client.get(SECRETS, "s", namespace="ns")


def test_token_when_renewed_in_its_file_then_used(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with serve_cluster() as (cluster, url):
        cluster.put("secrets", "ns", {"metadata": {"name": "s"}})
        cluster.tokens = {"second"}
        by_url = access_by_url(url)
        file.write_text("first\n")
        client = KubeClient(Access(by_url.host, by_url.port, token=FileToken(file)))
        with pytest.raises(Unavailable, match="401"):
            client.get(SECRETS, "s", namespace="ns")
        # As the kubelet does it: another file takes the name.
        (tmp_path / "new").write_text("second")
        os.replace(tmp_path / "new", file)
        assert client.get(SECRETS, "s", namespace="ns")["metadata"]["name"] == "s"
        cluster.requests.clear()

        def renew(method: str, path: str) -> None:
            cluster.before = lambda method, path: None
            cluster.tokens = {"third"}
            file.write_text("third")

        cluster.before = renew
        assert client.get(SECRETS, "s", namespace="ns")["metadata"]["name"] == "s"
        assert len(cluster.requests) == 2
        file.unlink()
        with pytest.raises(Unavailable, match="token cannot be read"):
            client.get(SECRETS, "s", namespace="ns")
        client.close()


def test_access_in_cluster_when_there_is_none_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not in a cluster"):
        access_in_cluster("", "443", tmp_path)
    with pytest.raises(Unavailable, match="token cannot be read"):
        access_in_cluster("10.0.0.1", "443", tmp_path)
    (tmp_path / "token").write_text("t")
    with pytest.raises(Unavailable, match="CA certificate"):
        access_in_cluster("10.0.0.1", "443", tmp_path)
    with pytest.raises(Invalid):
        access_by_url("ftp://host")


def test_import_then_cheap_and_only_standard_library() -> None:
    code = "import sys; import catalog_server.kube.client; print([m for m in sys.modules if m in ('httpx', 'yaml')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
