"""Mode `k8s` over a real HTTP API: changes behind the server's back, conflicts, secrets, and an API that is away."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog_server.sources.stores.kubernetes import Place
from tests.e2e.managed import MANAGEMENT, QUICK_JOBS, Folder, Managed, git, local
from tests.fake_kubernetes import Cluster, Refused, serve_cluster
from tests.server import wait_until

PLACE = Place()


class Kubernetes:
    """A cluster, and servers whose configuration is in it."""

    def __init__(self, folder: Folder, cluster: Cluster, url: str) -> None:
        self.folder, self.cluster = folder, cluster
        cluster.tokens.add("")  # a client by URL has no token
        self.options = {
            "CATALOG_CONFIG_STORE_MODE": "k8s",
            "CATALOG_KUBERNETES_URL": url,
            "CATALOG_RECONCILE_INTERVAL_SECONDS": "1",
            **QUICK_JOBS,
        }

    def stored(self) -> dict[str, Any]:
        found = self.cluster.find("configmaps", PLACE.namespace, PLACE.name)
        assert found is not None
        return found

    def text(self) -> str:
        return str(self.stored()["data"][PLACE.key])

    def ids(self) -> list[str]:
        return [one["id"] for one in yaml.safe_load(self.text())["catalogs"]["skills"]["sources"]]

    def put(self, text: str) -> None:
        """As `kubectl edit` does it."""
        self.cluster.put("configmaps", PLACE.namespace, {**self.stored(), "data": {PLACE.key: text}})


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[Kubernetes]:
    folder = Folder(tmp_path)
    for name in ("one", "two"):
        folder.catalog(f"{name}.yaml", name)
    folder.write(local("a", "one.yaml"))
    with serve_cluster() as (cluster, url):
        yield Kubernetes(folder, cluster, url)


def test_configmap_when_absent_then_made_from_the_file_and_changed_over_http(kubernetes: Kubernetes) -> None:
    before = kubernetes.folder.sources.read_bytes()
    with kubernetes.folder.server(**kubernetes.options) as managed:
        assert kubernetes.text().encode() == before
        first = managed.server.json(f"{MANAGEMENT}/revisions")["revisions"][0]["version"]
        managed.applied(local("b", "two.yaml"))
        assert managed.names() == ["one", "two"]
        assert kubernetes.ids() == ["a", "b"]
        revisions = managed.server.json(f"{MANAGEMENT}/revisions")["revisions"]
        assert [one["version"] for one in revisions][1:] == [first]
        done = managed.post(f"{MANAGEMENT}/rollback", {"version": first})
        assert done.status_code == 200, done.text
        assert kubernetes.text().encode() == before
        assert managed.names() == ["one"]
        assert kubernetes.folder.sources.read_bytes() == before
        reasons = [one["message"] for key, one in kubernetes.cluster.objects.items() if key[2] == "events"]
        assert len(reasons) == 2
        assert "apply skills/b" in reasons[0]


def test_configmap_when_changed_behind_the_server_then_seen_and_only_what_changed_is_loaded(
    kubernetes: Kubernetes,
) -> None:
    with kubernetes.folder.server(**kubernetes.options) as managed:
        managed.applied(local("b", "two.yaml"))
        good = kubernetes.text()
        kubernetes.put(good.replace("two.yaml", "one.yaml"))
        managed.expect("one", "one", seconds=5)
        loaded = [line["source"] for line in managed.server.logged("source refreshed")]
        assert loaded == ["a", "b", "b"]
        kubernetes.put(good.replace("sources:", "surces:"))
        assert "surces" in wait_until("the reason", managed.config_error, 5)
        assert managed.names() == ["one", "one"]
        kubernetes.put(good)
        managed.expect("one", "two", seconds=5)
        wait_until("the repair", lambda: not managed.config_error(), 5)


def test_configmap_when_deleted_then_the_last_configuration_stays_until_it_is_back(kubernetes: Kubernetes) -> None:
    with kubernetes.folder.server(**kubernetes.options) as managed:
        managed.applied(local("b", "two.yaml"))
        text = kubernetes.text()
        del kubernetes.cluster.objects["api/v1", PLACE.namespace, "configmaps", PLACE.name]
        assert "was deleted" in wait_until("the reason", managed.config_error, 5)
        assert managed.apply(local("c", "two.yaml")).status_code == 503
        assert managed.names() == ["one", "two"]
        body = {"metadata": {"name": PLACE.name}, "data": {PLACE.key: text}}
        kubernetes.cluster.put("configmaps", PLACE.namespace, body)
        wait_until("the repair", lambda: not managed.config_error(), 5)
        assert managed.names() == ["one", "two"]


def test_apply_when_the_resource_version_is_old_then_tried_again_and_both_changes_are_kept(
    kubernetes: Kubernetes,
) -> None:
    with kubernetes.folder.server(**kubernetes.options) as managed:
        conflicts: list[str] = []

        def interfere(method: str, path: str) -> None:
            if method == "PUT" and "configmaps" in path and len(conflicts) < 2:
                conflicts.append(path)
                kubernetes.put(f"# edit {len(conflicts)}\n" + kubernetes.text())

        kubernetes.cluster.before = interfere
        managed.applied(local("b", "two.yaml"))
        assert len(conflicts) == 2
        assert kubernetes.ids() == ["a", "b"]
        assert kubernetes.text().startswith("# edit 2\n# edit 1\n")
        assert managed.names() == ["one", "two"]


def test_apply_when_the_api_is_down_then_refused_and_the_old_configuration_is_in_force(kubernetes: Kubernetes) -> None:
    def refuse(method: str, path: str) -> None:
        raise Refused(503, "ServiceUnavailable", "etcd is away")

    with kubernetes.folder.server(**kubernetes.options) as managed:
        before = kubernetes.text()
        kubernetes.cluster.before = refuse
        answer = managed.apply(local("b", "two.yaml"))
        assert answer.status_code == 503
        assert "etcd is away" in answer.json()["message"]
        assert "etcd is away" in wait_until("the reason", managed.config_error, 5)
        assert (managed.names(), kubernetes.text()) == (["one"], before)
        assert managed.server.readiness()[0] == 200
        kubernetes.cluster.before = lambda method, path: None
        managed.applied(local("b", "two.yaml"))
        assert managed.names() == ["one", "two"]
        assert managed.config_error() == ""


def test_start_when_the_api_is_down_then_waits_and_becomes_ready(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.catalog("one.yaml", "one")
    folder.write(local("a", "one.yaml"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = {
        "CATALOG_CONFIG_STORE_MODE": "k8s",
        "CATALOG_KUBERNETES_URL": f"http://127.0.0.1:{port}",
        "CATALOG_RECONCILE_INTERVAL_SECONDS": "1",
    }
    with folder.server(wait=False, **options) as managed:
        wait_until("the first attempt", lambda: managed.server.logged("waiting for the database"), 20)
        assert managed.server.readiness()[0] == 503
        assert managed.server.get("/livez").status_code == 200
        assert managed.apply(local("b", "one.yaml")).status_code == 503
        with serve_cluster(port) as (cluster, _):
            cluster.tokens.add("")
            managed.server.wait_for_ready(20)
            assert managed.names() == ["one"]
            assert cluster.names("configmaps", PLACE.namespace) == [PLACE.name]


def test_secrets_when_a_source_uses_them_then_they_are_nowhere_to_be_seen(kubernetes: Kubernetes) -> None:
    """The repository cannot be reached, and the reason of that would be the place for the secret to leak."""
    secret = "hunter2-the-token"
    encoded = base64.b64encode(secret.encode()).decode()
    body = {"metadata": {"name": "git"}, "data": {"token": encoded}}
    kubernetes.cluster.put("secrets", PLACE.namespace, body)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    source = git("g", f"https://127.0.0.1:{closed}/repository.git", authToken=_reference("git"), timeout="2s")
    with kubernetes.folder.server(CATALOG_JOB_MAX_RETRIES="1", **kubernetes.options) as managed:
        applied = managed.apply(source)
        assert applied.status_code == 200, applied.text
        assert any(path.endswith("/secrets/git") for _, path in kubernetes.cluster.requests)
        managed.expect_state("g", "error")
        missing = managed.apply({**source, "properties": {**source["properties"], "authToken": _reference("gone")}})
        assert missing.status_code == 422
        others = [one for key, one in kubernetes.cluster.objects.items() if key[2] != "secrets"]
        seen = applied.text + missing.text + _everything(managed) + json.dumps(others)
    seen += managed.server.output
    assert secret not in seen
    assert encoded not in seen
    stored = yaml.safe_load(kubernetes.text())["catalogs"]["skills"]["sources"]
    assert stored[1]["properties"]["authToken"] == _reference("git")


def _reference(name: str) -> dict[str, Any]:
    return {"name": name, "key": "token"}


def _everything(managed: Managed) -> str:
    """All that can be read of sources and jobs."""
    paths = [
        f"{MANAGEMENT}/sources",
        f"{MANAGEMENT}/diagnostics",
        f"{MANAGEMENT}/revisions",
        "/api/skills_catalog/v1alpha1/sources",
        "/api/jobs/v1alpha1/refresh",
    ]
    headers = [{}, {"X-User-Role": "operator"}]
    return "".join(managed.server.get(path, headers=one).text for path in paths for one in headers)
