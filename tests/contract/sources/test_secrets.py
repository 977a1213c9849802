"""Secrets in mounted folders and in a cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog_server.errors import CatalogError, Invalid
from catalog_server.kube.access import access_by_url
from catalog_server.kube.client import KubeClient
from catalog_server.sources.secrets import MAX_BYTES, FolderSecrets, KubernetesSecrets, SecretRef, resolve_secrets
from tests.fake_kubernetes import TOKEN, Cluster, serve_cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`creds` as Kubernetes mounts it: keys are links through `..data` to a folder with the time in its name."""
    folder = tmp_path / "secrets"
    real = folder / "creds" / "..2031_04_01"
    real.mkdir(parents=True)
    for key, value in {"token": b"s3cret\n", "windows": b"s3cret\r\n", "two": b"a\n\n", "utf16": b"\xff\xfe"}.items():
        (real / key).write_bytes(value)
        (folder / "creds" / key).symlink_to(f"..data/{key}")
    (real / "empty").write_bytes(b"\n")
    (folder / "creds" / "empty").symlink_to("..data/empty")
    (folder / "creds" / "..data").symlink_to("..2031_04_01")
    (folder / "creds" / "big").write_bytes(b"x" * (MAX_BYTES + 1))
    (folder / "creds" / "full").write_bytes(b"x" * MAX_BYTES)
    (tmp_path / "outside").write_text("outside")
    (folder / "creds" / "escape").symlink_to(tmp_path / "outside")
    (folder / "linked").symlink_to(tmp_path)
    return folder


def test_folder_then_secret_without_its_line_break(folder: Path) -> None:
    secrets = FolderSecrets(folder)
    assert secrets.read_secret(SecretRef("creds", "token")) == "s3cret"
    assert secrets.read_secret(SecretRef("creds", "windows")) == "s3cret"
    assert secrets.read_secret(SecretRef("creds", "two")) == "a\n"
    assert len(secrets.read_secret(SecretRef("creds", "full"))) == MAX_BYTES


@pytest.mark.parametrize(
    ("name", "key", "namespace"),
    [
        *(("creds", "none", ""), ("none", "token", ""), ("creds", "empty", ""), ("creds", "big", "")),
        *(("creds", "utf16", ""), ("creds", "escape", ""), ("linked", "outside", ""), ("creds", "token", "ns")),
        *(("..", "outside", ""), ("creds", "..", ""), ("creds", "../../outside", ""), ("creds/..", "x", "")),
        *(("/etc", "passwd", ""), ("creds", "/etc/passwd", ""), ("creds", "..data", ""), ("creds", "a\0b", "")),
    ],
)
def test_folder_when_not_to_be_had_then_unresolved(folder: Path, name: str, key: str, namespace: str) -> None:
    reference = {"name": name, "key": key, **({"namespace": namespace} if namespace else {})}
    with pytest.raises(Invalid) as caught:
        resolve_secrets({"token": reference}, FolderSecrets(folder))
    assert caught.value.code == "secret_unresolved"
    assert "outside" not in caught.value.message or "outside" in f"{name}{key}" or key == "escape"


@pytest.fixture
def cluster() -> Iterator[tuple[Cluster, KubeClient]]:
    with serve_cluster() as (cluster, url):
        for namespace in ("own", "shared", "foreign"):
            data = {"token": base64.b64encode(f"{namespace}-s3cret\n".encode()).decode(), "bad": "!", "empty": ""}
            cluster.put("secrets", namespace, {"metadata": {"name": "creds"}, "data": data})
        client = KubeClient(access_by_url(url, TOKEN))
        yield cluster, client
        client.close()


def test_kubernetes_then_own_and_allowed_namespaces(cluster: tuple[Cluster, KubeClient]) -> None:
    secrets = KubernetesSecrets(cluster[1], "own", allowed_namespaces=["shared"])
    assert secrets.read_secret(SecretRef("creds", "token")) == "own-s3cret"
    assert secrets.read_secret(SecretRef("creds", "token", "own")) == "own-s3cret"
    assert secrets.read_secret(SecretRef("creds", "token", "shared")) == "shared-s3cret"


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        (SecretRef("creds", "token", "foreign"), "not allowed here"),
        (SecretRef("creds", "none"), "no such key"),
        (SecretRef("none", "token"), "not found"),
        (SecretRef("creds", "bad"), "damaged"),
        (SecretRef("creds", "empty"), "empty"),
        (SecretRef("..", "token"), "not a name"),
        (SecretRef("creds", "a/b"), "not a key"),
    ],
)
def test_kubernetes_when_not_to_be_had_then_refused(
    cluster: tuple[Cluster, KubeClient], ref: SecretRef, reason: str
) -> None:
    with pytest.raises(CatalogError, match=reason):
        KubernetesSecrets(cluster[1], "own").read_secret(ref)
    assert all("foreign" not in path for _, path in cluster[0].requests)


def test_kubernetes_when_role_forbids_then_unresolved(cluster: tuple[Cluster, KubeClient]) -> None:
    cluster[0].forbidden.add(("GET", "secrets"))
    with pytest.raises(Invalid, match="forbidden") as caught:
        resolve_secrets({"token": {"name": "creds", "key": "token"}}, KubernetesSecrets(cluster[1], "own"))
    assert caught.value.code == "secret_unresolved"
