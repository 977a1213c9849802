"""Several tenants, set up as docs/how-to/authorize-with-kubernetes.md says, with the manifests that stand there.

Two teams, an engineer, an operator, a viewer, nobody; and a cluster that is slow, away, or does not let us ask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.contract.providers.http_bench import make_authority
from tests.docs.test_rbac import manifests
from tests.e2e.managed import BASE, JOBS, MANAGEMENT, QUICK_JOBS
from tests.fake_kubernetes import REVIEWS, Cluster, KubeObject, Refused, serve_cluster
from tests.fake_rbac import API, place_of
from tests.server import RunningServer, run_to_end, running, wait_until

SKILLS = f"{BASE}/skills"
NAMESPACES = "/api/tenancy/v1alpha1/namespaces"
ACCOUNT = "system:serviceaccount:catalog-system:catalog-server"
PROBES = ("/healthz", "/livez", "/readyz")
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: dev
contexts: [{name: dev, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "%s", certificate-authority: pki/ca.pem}}]
users: [{name: u, user: {tokenFile: token}}]
"""


@dataclass
class Deployment:
    """A cluster with the manifests of the page, and a server in it."""

    cluster: Cluster
    server: RunningServer

    def ask(self, method: str, path: str, user: str = "", team: str = "team-a", **options: Any) -> httpx.Response:
        headers = {"X-Remote-User": user, "X-Namespace": team, **options.pop("headers", {})}
        return self.server.client.request(method, self.server.url + path, headers=headers, **options)

    def status(self, method: str, path: str, user: str = "", team: str = "team-a", **options: Any) -> int:
        return self.ask(method, path, user, team, **options).status_code

    def probes(self) -> None:
        """200 without a user and without a namespace, whatever happens."""
        assert [self.server.get(path).status_code for path in PROBES] == [200] * 3


def apply(cluster: Cluster, manifest: KubeObject) -> None:
    plural, namespace = place_of(manifest)
    cluster.put(plural, namespace, manifest, api=API)


def source(team: str, folder: Path) -> dict[str, Any]:
    path = write_catalog(folder / f"{team}.yaml", "skills", named(f"of-{team}", "shared"))
    return {"id": "main", "path": path, "namespace": team}


@contextmanager
def deployed(folder: Path, *, applied: Callable[[KubeObject], bool] = lambda _: True) -> Iterator[Deployment]:
    """Steps 1 to 3 of the page. The proxy is this test."""
    authority = make_authority(folder / "pki", "IP:127.0.0.1")
    sources = write_sources(
        folder / "sources.yaml", {"skills": [source(team, folder) for team in ("team-a", "team-b")]}
    )
    with serve_cluster(tls=authority.context) as (cluster, url):
        cluster.tokens.clear()
        cluster.accounts["account-token"] = ACCOUNT
        for manifest in filter(applied, manifests()):
            apply(cluster, manifest)
        (folder / "token").write_text("account-token\n")
        (folder / "kubeconfig").write_text(KUBECONFIG % url)
        env = {
            "CATALOG_TENANCY_MODE": "namespace",
            "CATALOG_NAMESPACES": "team-a,team-b",
            "CATALOG_AUTHZ_MODE": "sar",
            "CATALOG_KUBECONFIG": str(folder / "kubeconfig"),
            **QUICK_JOBS,
        }
        with running(folder / "data", sources, **env) as server:  # type: ignore[arg-type]
            yield Deployment(cluster, server)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with deployed(tmp_path) as found:
        yield found


TAG = {"action": "tag", "params": {"tags": ["seen"]}}


def test_callers_then_each_what_its_role_gives(deployment: Deployment) -> None:
    """A viewer reads, an engineer acts, an operator manages, and nobody gets nothing."""
    viewer, engineer, operator = "vic", "erin", "olivia"
    for method, path, body, allowed in (
        ("GET", SKILLS, None, {viewer, engineer, operator}),
        ("GET", f"{SKILLS}/shared", None, {viewer, engineer, operator}),
        ("GET", "/api/plugins", None, {viewer, engineer, operator}),
        ("GET", "/api/plugins/skills/capabilities", None, {viewer, engineer, operator}),
        ("GET", f"{MANAGEMENT}/sources", None, {viewer, engineer, operator}),
        ("GET", f"{MANAGEMENT}/diagnostics", None, {viewer, engineer, operator}),
        ("GET", JOBS, None, {viewer, engineer, operator}),
        ("POST", f"{MANAGEMENT}/entities/shared:action", TAG, {engineer, operator}),
        ("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": True}, {operator}),
        ("POST", f"{MANAGEMENT}/validate-source", {"id": "x"}, {operator}),
        ("GET", "/nowhere", None, set()),
    ):
        for user in (viewer, engineer, operator, "stranger"):
            wanted = 200 if user in allowed else 403
            assert deployment.status(method, path, user, json=body) == wanted, (method, path, user)
        for headers in ({}, {"X-User-Role": "operator"}):
            assert deployment.status(method, path, json=body, headers=headers) == 401
    assert deployment.status("POST", f"{MANAGEMENT}/refresh/main", viewer) == 403
    assert deployment.status("POST", f"{MANAGEMENT}/refresh/main", engineer) == 202
    assert deployment.status("DELETE", f"{MANAGEMENT}/sources/main", engineer) == 403
    assert deployment.status("DELETE", f"{MANAGEMENT}/sources/main", operator) == 200
    deployment.probes()


def test_teams_then_apart(deployment: Deployment) -> None:
    for user in ("vic", "erin", "olivia"):
        assert deployment.ask("GET", NAMESPACES, user).json()["namespaces"] == ["team-a"]
        names = [one["name"] for one in deployment.ask("GET", SKILLS, user).json()["items"]]
        assert names == ["of-team-a", "shared"]
        denied = deployment.ask("GET", SKILLS, user, "team-b")
        assert denied.status_code == 403
        message = "insufficient permissions for assets/list in namespace team-b"
        assert denied.json() == {"error": "forbidden", "message": message}
    assert deployment.ask("GET", NAMESPACES, "stranger").json() == {"namespaces": [], "mode": "namespace"}
    assert deployment.status("GET", NAMESPACES) == 401
    assert deployment.server.get(SKILLS, headers={"X-Remote-User": "vic"}).status_code == 400
    assert deployment.status("GET", SKILLS, "vic", "team-c") == 403


def test_right_when_given_later_then_in_force_within_seconds(deployment: Deployment) -> None:
    assert deployment.status("GET", SKILLS, "vic", "team-b") == 403
    for kind, name in (("Role", "catalog-viewer"), ("RoleBinding", "catalog-viewers")):
        (manifest,) = (one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name))
        apply(deployment.cluster, {**manifest, "metadata": {"name": name, "namespace": "team-b"}})
    wait_until("the right", lambda: deployment.status("GET", SKILLS, "vic", "team-b") == 200, 20)
    assert deployment.ask("GET", NAMESPACES, "vic").json()["namespaces"] == ["team-a", "team-b"]


def test_account_without_the_right_to_ask_then_nobody_gets_in(tmp_path: Path) -> None:
    """Step 2 of the page left out."""
    with deployed(tmp_path, applied=lambda one: not one["kind"].startswith("Cluster")) as deployment:
        deployment.probes()
        answer = deployment.ask("GET", SKILLS, "olivia")
        assert answer.status_code == 503
        assert answer.json() == {"error": "service_unavailable", "message": "authorization check failed"}
        assert int(answer.headers["retry-after"]) > 0
        (line,) = deployment.server.logged("authorization check failed")
        assert "403" in line["reason"]
        for manifest in manifests():
            apply(deployment.cluster, manifest)
        assert deployment.status("GET", SKILLS, "olivia") == 200


def test_api_when_away_or_slow_then_closed_and_alive(deployment: Deployment) -> None:
    assert deployment.status("GET", SKILLS, "vic") == 200

    def refuse(method: str, path: str) -> None:
        raise Refused(500, "InternalError", "etcd is gone")

    deployment.cluster.before = refuse
    assert deployment.status("GET", SKILLS, "vic") == 200, "a decision that is still kept"
    assert deployment.status("GET", SKILLS, "erin") == 503
    assert deployment.status("GET", NAMESPACES, "erin") == 503
    deployment.probes()
    go = threading.Event()
    deployment.cluster.before = lambda method, path: _wait(go)
    slow = deployment.ask("GET", SKILLS, "olivia")
    assert slow.status_code == 503
    assert "etcd" not in slow.text
    deployment.probes()
    go.set()
    deployment.cluster.before = lambda method, path: None
    assert deployment.status("GET", SKILLS, "olivia") == 200


def test_thousand_requests_over_many_connections_then_one_review(deployment: Deployment) -> None:
    go = threading.Event()
    deployment.cluster.before = lambda method, path: _wait(go)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            for _ in range(50):
                url = f"{deployment.server.url}{SKILLS}?namespace=team-a"
                statuses.append(client.get(url, headers={"X-Remote-User": "vic"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_until("the review", lambda: deployment.cluster.requests)
    go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 1000
    assert deployment.cluster.requests == [("POST", f"/apis/authorization.k8s.io/v1/{REVIEWS}")]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, ("CATALOG_AUTHZ_MODE", "KUBERNETES_SERVICE_HOST", "CATALOG_KUBECONFIG", "CATALOG_KUBERNETES_URL")),
        (
            {"CATALOG_KUBECONFIG": "/nowhere/config"},
            ("CATALOG_AUTHZ_MODE", "kubeconfig /nowhere/config", "cannot be read"),
        ),
        ({"CATALOG_KUBERNETES_URL": "ftp://x"}, ("CATALOG_AUTHZ_MODE", "URL")),
        (
            {"CATALOG_KUBERNETES_URL": "http://127.0.0.1:1", "CATALOG_KUBECONFIG": "/x"},
            ("CATALOG_AUTHZ_MODE", "CATALOG_KUBERNETES_URL and CATALOG_KUBECONFIG", "set one"),
        ),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}, ("CATALOG_AUTHZ_MODE", "token")),
    ],
)
def test_start_when_there_is_no_way_to_the_cluster_then_one_line_that_says_so(
    tmp_path: Path, env: dict[str, str], words: tuple[str, ...]
) -> None:
    """Also where a ~/.kube/config lies: it is not read unless it is named."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube/config").write_text(KUBECONFIG % "https://127.0.0.1:1")
    sources = write_sources(tmp_path / "sources.yaml", {})
    done = run_to_end(
        tmp_path, f"--sources={sources}", "--listen=127.0.0.1:0", HOME=str(tmp_path), CATALOG_AUTHZ_MODE="sar", **env
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def _wait(event: threading.Event) -> None:
    event.wait(30)
