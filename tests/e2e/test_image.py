"""The image without an engine: a root file system by the steps of its Dockerfile, and the server in it.

As Compose starts it, and as the manifests do: as uid 65532, with their flags and variables, on a real PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.catalog_files import named, write_catalog, write_sources
from tests.contract.providers.http_bench import make_authority
from tests.deploy.manifests import ROOT, Manifest, built, container_of, environ_of, pick
from tests.fake_kubernetes import Cluster, serve_cluster
from tests.fake_rbac import API, place_of
from tests.server import RunningServer, running, wait_until

pytestmark = pytest.mark.external_service

TOOL = (sys.executable, str(ROOT / "tools/root_filesystem.py"))
UID = "65532"
SKILLS = "/api/skills_catalog/v1alpha1"
ACCOUNT = "system:serviceaccount:catalog-system:catalog-server"
OPERATOR = {"X-User-Role": "operator"}
KEPT_REVISIONS = 11  # ten, and the present one


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the stages."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("a root file system is made and entered by root only, who may mount")
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run([*TOOL, "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)


@contextmanager
def started(
    image: Path, arguments: Sequence[str], environ: Mapping[str, str] = {}, *, read_only: bool = False
) -> Iterator[RunningServer]:
    """The entry point of the image."""
    log, errors = image / "stdout.log", image / "stderr.log"
    options = ["--read-only"] if read_only else []
    with log.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*TOOL, "run", *options, image, *arguments],
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    server = RunningServer(process, log, errors)
    try:
        server.wait_for_address()
        yield server
    except BaseException:
        server.kill()
        raise
    server.stop()


def call(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOOL, "exec", image, *command], capture_output=True, text=True, check=False)


def adapted(arguments: Sequence[str], dsn: str = "") -> list[str]:
    """On a free port instead of 8080, and on the database of the test."""
    texts = {"--listen=:8080": "--listen=:0"}
    return [f"--db-dsn={dsn}" if one.startswith("--db-dsn=") else texts.get(one, one) for one in arguments]


def test_compose_then_serves_and_is_healthy_until_it_stops(image: Path, postgres_database: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.catalog.yaml").read_text())["services"]["catalog-server"]
    _, program, address = compose["healthcheck"]["test"]
    with started(image, adapted(compose["command"], postgres_database)) as server:
        here = address.replace("localhost:8080", server.url.removeprefix("http://"))
        wait_until("the health check", lambda: call(image, program, here).returncode == 0, 60)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert {line.split()[1] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))} == {UID}
        assert server.json("/readyz")["components"]["plugins"]["details"] == "all 8 plugins healthy"
        wait_until("the sample repository", lambda: sources_of(server, "agents")["agents-git"] == "available", 30)
        assert all("available" in sources_of(server, one["name"]).values() for one in plugins_of(server))
        refused = server.client.post(
            f"{server.url}{SKILLS}/management/sources/skills-default/enable", json={"enabled": False}, headers=OPERATOR
        )
        assert refused.status_code == 403, "beyond loopback the header is not believed"
        assert server.logged("the source configuration cannot be changed over the API"), "/config is read-only (D81)"
    done = call(image, program, here)
    assert done.returncode == 1
    assert done.stderr.startswith("healthcheck failed: ")


def plugins_of(server: RunningServer) -> list[dict[str, Any]]:
    return list(server.json("/api/plugins")["plugins"])


def sources_of(server: RunningServer, plugin: str) -> dict[str, str]:
    """Source -> its state."""
    found = server.json(f"/api/{plugin}_catalog/v1alpha1/sources")["sources"]
    return {one["id"]: one["status"]["state"] for one in found}


def test_image_then_holds_nothing_of_the_build(image: Path) -> None:
    root = image / "image"
    assert not any(root.joinpath("opt/catalog-server", name).exists() for name in ("pip", "uv", "bin", "setuptools"))
    assert not (root / "workspace").exists()
    compiled = list(root.joinpath("opt/catalog-server/catalog_server").rglob("*.pyc"))
    assert len(compiled) == len(list(root.joinpath("opt/catalog-server/catalog_server").rglob("*.py")))
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {0b11}, "by hash, not by time"
    assert {path.name for path in (root / "plugins").iterdir()} == {
        path.name for path in (ROOT / "catalog/plugins").iterdir()
    }
    assert "safe" in (root / "etc/gitconfig").read_text()
    assert {int(path.stat().st_mtime) for path in (root / "config").rglob("*")} == {1767225600}


def test_programs_then_start(image: Path) -> None:
    assert call(image, "/catalog-server", "--version").returncode == 0
    assert call(image, "id", "-u").stdout.strip() == UID
    programs = [path.name for path in (image / "image").glob("catalog-*")]
    assert all(call(image, f"/{name}", "--help").returncode == 0 for name in programs)
    assert call(image, "/usr/local/bin/healthcheck").returncode == 1


@contextmanager
def pod(image: Path, manifests: Sequence[Manifest], dsn: str) -> Iterator[tuple[Cluster, RunningServer]]:
    """The server of the Deployment, with what a kubelet mounts and only the rights that the manifests give."""
    root, deployment = image / "image", pick(tuple(manifests), "Deployment")
    account = root / "var/run/secrets/kubernetes.io/serviceaccount"
    authority = make_authority(image / "pki", "IP:127.0.0.1")
    account.mkdir(parents=True)
    (account / "token").write_text("account-token")
    (account / "namespace").write_text("catalog-system")
    shutil.copy(image / "pki/ca.pem", account / "ca.crt")
    mount_config_map(root / "config", pick(tuple(manifests), "ConfigMap", "catalog-server-sources")["data"])
    with serve_cluster(tls=authority.context) as (cluster, url):
        cluster.tokens.clear()
        cluster.accounts["account-token"] = ACCOUNT
        for manifest in manifests:
            if manifest["apiVersion"] == API:
                plural, namespace = place_of(manifest)
                cluster.put(plural, namespace, manifest, api=API)
        environ = variables_of(deployment, dsn) | {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(urlsplit(url).port),
            "CATALOG_ALLOW_HEADER_AUTH": "true",
        }
        with started(image, adapted(container_of(deployment)["args"]), environ, read_only=True) as server:
            server.wait_for_ready()
            yield cluster, server


def variables_of(deployment: Manifest, dsn: str) -> dict[str, str]:
    """As the kubelet fills them in."""
    from_pod = {"metadata.namespace": "catalog-system", "metadata.name": "catalog-server-abc"}
    given: dict[str, Any] = environ_of(deployment)
    given["DATABASE_DSN"] = dsn
    return {
        name: one if isinstance(one, str) else from_pod[one["fieldRef"]["fieldPath"]] for name, one in given.items()
    }


def mount_config_map(folder: Path, data: Mapping[str, str]) -> None:
    """The links that a kubelet makes for the files of a ConfigMap."""
    shutil.rmtree(folder)
    (folder / "..2026_01_01").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_01_01")
    for name, text in data.items():
        (folder / "..data" / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


def test_config_map_when_applied_anew_then_in_force(tmp_path: Path) -> None:
    """In mode `file`. The kubelet points one link, `..data`, to a new folder."""
    (tmp_path / "plugins").mkdir()
    catalog = write_catalog(tmp_path / "plugins/catalog.yaml", "skills", named("one", "two"))
    text = write_sources(tmp_path / "first.yaml", {"skills": [{"id": "main", "path": catalog}]}).read_text()
    mounted = tmp_path / "config"
    mounted.mkdir()
    mount_config_map(mounted, {"sources.yaml": text})
    with running(tmp_path / "data", mounted / "sources.yaml") as server:
        assert server.names(f"{SKILLS}/skills") == ["one", "two"]
        (mounted / "..2026_01_02").mkdir()
        (mounted / "..2026_01_02/sources.yaml").write_text(text.replace("main", "other").replace("true", "false"))
        (mounted / "..new").symlink_to("..2026_01_02")
        (mounted / "..new").rename(mounted / "..data")
        shutil.rmtree(mounted / "..2026_01_01")
        wait_until("the new configuration", lambda: list(sources_of(server, "skills")) == ["other"], 15)


def test_tenants_then_refused_until_the_proxy_is_named(image: Path, postgres_database: str, tmp_path: Path) -> None:
    copy = tmp_path / "image"
    shutil.copytree(image, copy, symlinks=True)
    with pod(copy, built("overlays/multi-tenant"), postgres_database) as (cluster, server):
        headers = {"X-Remote-User": "alice", "X-Namespace": "team-a"}
        assert server.get(f"{SKILLS}/skills", headers=headers).status_code == 401
        assert server.get("/livez").status_code == 200
        assert not cluster.reviews


def test_manifests_then_serve_lead_and_keep_changes_with_the_rights_they_give(
    image: Path, postgres_database: str, tmp_path: Path
) -> None:
    """A read-only root, the rights of the Roles and no more, and a dozen changes: revisions come and go."""
    copy = tmp_path / "image"
    shutil.copytree(image, copy, symlinks=True)
    with pod(copy, built("overlays/ha"), postgres_database) as (cluster, server):
        wait_until("the sample repository", lambda: sources_of(server, "agents")["agents-git"] == "available", 30)
        lease = cluster.find("leases", "catalog-system", "catalog-server-leader", api="apis/coordination.k8s.io/v1")
        assert lease is not None
        assert lease["spec"]["holderIdentity"].startswith("catalog-server-abc")
        switched = [(plugin["name"], next(iter(sources_of(server, plugin["name"])))) for plugin in plugins_of(server)]
        for enabled in (False, True):  # sixteen configurations, each unlike the others but the last
            for plugin, source in switched:
                url = f"{server.url}/api/{plugin}_catalog/v1alpha1/management/sources/{source}/enable"
                answer = server.client.post(url, json={"enabled": enabled}, headers=OPERATOR)
                assert answer.status_code == 200, answer.text
        stored = cluster.find("configmaps", "catalog-system", "catalog-sources")
        assert stored is not None
        assert stored["data"]["sources.yaml"].count("enabled: true") == len(switched)
        assert len(server.json(f"{SKILLS}/management/revisions")["revisions"]) == KEPT_REVISIONS
        assert len(cluster.names("configmaps", "catalog-system")) == KEPT_REVISIONS, "older ones are deleted"
        assert cluster.names("events", "catalog-system")
