"""The management API on each store: one that cannot be written, one in memory, a ConfigMap, and override files."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_kubernetes import TOKEN, Refused, serve_cluster
from tests.http.client import open_client
from tests.http.operator import MANAGEMENT, ROLE, SOURCES, Operator, operating

SPARE = {"id": "spare", "name": "Spare", "type": "yaml", "properties": {"yamlCatalogPath": "spare.yaml"}}
CHANGES = (
    ("POST", f"{MANAGEMENT}/apply-source", SPARE),
    ("POST", f"{MANAGEMENT}/sources", SPARE),
    ("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": False}),
    ("DELETE", f"{MANAGEMENT}/sources/main"),
    ("POST", f"{MANAGEMENT}/rollback", {"version": "0" * 8}),
)


# --- read-only ---


def read_only_bind_mount(folder: Path) -> Callable[[], object]:
    """What Compose does to `/config`. Root is not stopped by permissions, so it has to be a mount."""
    for step in (("--bind", str(folder), str(folder)), ("-o", "remount,bind,ro", str(folder))):
        if subprocess.run(["mount", *step], capture_output=True, check=False).returncode:
            subprocess.run(["umount", str(folder)], capture_output=True, check=False)
            pytest.skip("mounting is not allowed here")
    return lambda: subprocess.run(["umount", str(folder)], check=True)


def without_write_permission(folder: Path) -> Callable[[], object]:
    if os.geteuid() == 0:
        pytest.skip("permissions do not stop root")
    folder.chmod(0o555)
    return lambda: folder.chmod(0o755)


def unwritable_by_its_own_word(folder: Path) -> Callable[[], object]:
    """For where neither is possible: the probe of the store itself is made to find the folder read-only."""
    patch = pytest.MonkeyPatch()
    problem = f"the folder {folder} cannot be written: Read-only file system"
    patch.setattr("catalog_server.sources.stores.file._write_problem", lambda target: problem)
    return patch.undo


@pytest.fixture(params=[read_only_bind_mount, without_write_permission, unwritable_by_its_own_word])
def read_only(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Operator]:
    config = tmp_path / "config"
    config.mkdir()
    with operating(config):  # makes the files
        pass
    undo = request.param(config)
    try:
        env = {"CATALOG_ALLOW_HEADER_AUTH": "true"}
        with open_client(tmp_path / "data", config / "sources.yaml", **env) as client:
            yield Operator(client, config)
    finally:
        undo()


def test_a_folder_that_cannot_be_written(read_only: Operator) -> None:
    """Every write answers 503 with the reason, diagnostics say so, and reading goes on as ever."""
    for request in CHANGES:
        error = read_only.error(*request, status=503)
        assert error["message"] == (
            "config store is read-only: the folder of the sources file cannot be written: Read-only file system"
        ) or error["message"].endswith("Permission denied")
    diagnosed = read_only.ok("GET", f"{MANAGEMENT}/diagnostics")["persistence"]
    assert (diagnosed["mode"], diagnosed["writable"], diagnosed["persistent"]) == ("file", False, True)
    assert diagnosed["reason"].startswith("the folder of the sources file cannot be written: ")
    assert read_only.ok("POST", f"{MANAGEMENT}/validate-source", SPARE)["valid"] is True
    assert list(read_only.sources()) == ["main", "other"]
    assert read_only.names() == ["four", "one", "two"]
    assert read_only.ok("POST", f"{MANAGEMENT}/refresh/main", status=202)
    (only,) = read_only.ok("GET", f"{MANAGEMENT}/revisions")["revisions"]
    assert only["current"] is True
    done = read_only.ok("POST", f"{MANAGEMENT}/entities/one:action", {"action": "tag", "params": {"tags": ["x"]}})
    assert done["status"] == "completed", "tags live in the database"


def test_an_unknown_source_is_404_all_the_same(read_only: Operator) -> None:
    read_only.error("DELETE", f"{MANAGEMENT}/sources/nobody", status=404)


def test_a_store_that_fails_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and neither the file nor what is served has changed."""
    with operating(tmp_path) as operator:

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device", str(operator.file))

        monkeypatch.setattr("catalog_server.sources.stores.file.replace_file", fail)
        for request in CHANGES[:4]:
            error = operator.error(*request, status=503)
            assert "No space left on device" in error["message"]
        assert operator.file.read_text() == SOURCES
        assert operator.names() == ["four", "one", "two"]
        monkeypatch.undo()
        assert operator.apply(SPARE)["applied"] is True


def test_a_catalog_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found out before the configuration is saved."""
    with operating(tmp_path) as operator:

        def fail(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system", str(operator.file))

        monkeypatch.setattr("catalog_server.catalog.judging.staged_file", fail)
        properties = {"yamlCatalogPath": "other.yaml", "content": "skills: [{name: x}]\n"}
        given = {"id": "other", "name": "Renamed", "type": "yaml", "properties": properties}
        error = operator.error("POST", f"{MANAGEMENT}/apply-source", given, status=503)
        assert "'other.yaml' cannot be written: Read-only file system" in error["message"]
        assert operator.file.read_text() == SOURCES


def test_a_catalog_file_that_is_mounted_by_itself(tmp_path: Path) -> None:
    """It cannot be replaced, which is found out before anything is saved."""
    with operating(tmp_path) as operator:
        file = tmp_path / "other.yaml"
        if subprocess.run(["mount", "--bind", str(file), str(file)], capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            properties = {"yamlCatalogPath": "other.yaml", "content": "skills: [{name: x}]\n"}
            given = {"id": "other", "name": "Renamed", "type": "yaml", "properties": properties}
            error = operator.error("POST", f"{MANAGEMENT}/apply-source", given, status=503)
            assert "mount its folder instead" in error["message"]
        finally:
            subprocess.run(["umount", str(file)], check=True)
        assert operator.file.read_text() == SOURCES


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    with operating(tmp_path) as operator:
        old, new = (tmp_path / f".sources-other.yaml-{name}.yaml.tmp" for name in ("old", "new"))
        for file in (old, new):
            file.write_text("skills: []\n")
        os.utime(old, (0, 0))
        properties = {"yamlCatalogPath": "other.yaml", "content": "skills: [{name: x}]\n"}
        operator.apply({"id": "other", "name": "Other", "type": "yaml", "properties": properties})
        assert [file.exists() for file in (old, new)] == [False, True]


# --- mode none ---


def test_in_memory(tmp_path: Path) -> None:
    """Changes count until the process ends, and nobody claims that they are kept."""
    with operating(tmp_path, CATALOG_CONFIG_STORE_MODE="none") as operator:
        done = operator.apply(SPARE)
        assert done["persisted"] is False
        assert operator.names() == ["five", "four", "one", "six", "two"]
        assert operator.file.read_text() == SOURCES
        assert operator.ok("GET", f"{MANAGEMENT}/revisions") == {"revisions": [], "count": 0}
        error = operator.error("POST", f"{MANAGEMENT}/rollback", {"version": "0" * 8}, status=400)
        assert "no revisions" in error["message"]
        persistence = operator.ok("GET", f"{MANAGEMENT}/diagnostics")["persistence"]
        assert persistence == {"mode": "none", "writable": True, "persistent": False}
        operator.ok("DELETE", f"{MANAGEMENT}/sources/spare")
        assert operator.names() == ["four", "one", "two"]


# --- a ConfigMap ---


def test_in_a_configmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        env = {"CATALOG_CONFIG_STORE_MODE": "k8s", "CATALOG_KUBERNETES_URL": url}
        with operating(tmp_path, **env) as operator:
            first = operator.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]
            done = operator.apply(SPARE)
            assert done["persisted"] is True
            assert operator.names() == ["five", "four", "one", "six", "two"]
            assert operator.file.read_text() == SOURCES
            stored = cluster.find("configmaps", "default", "catalog-sources")
            assert stored is not None
            assert "id: spare" in stored["data"]["sources.yaml"]
            assert "# what everybody uses" in stored["data"]["sources.yaml"]
            newest = operator.ok("GET", f"{MANAGEMENT}/revisions")["revisions"][0]
            assert (newest["hash"], newest["author"]) == (done["version"], "olivia")

            def refuse(method: str, path: str) -> None:
                if method == "PUT":
                    raise Refused(403, "Forbidden", "configmaps is forbidden")

            cluster.before = refuse
            error = operator.error("DELETE", f"{MANAGEMENT}/sources/spare", status=503)
            assert TOKEN not in error["message"]
            persistence = operator.ok("GET", f"{MANAGEMENT}/diagnostics")["persistence"]
            assert (persistence["mode"], persistence["writable"]) == ("k8s", False)
            cluster.before = lambda method, path: None
            now = time.monotonic()
            monkeypatch.setattr("catalog_server.sources.stores.kubernetes.time.monotonic", lambda: now + 11)
            operator.ok("POST", f"{MANAGEMENT}/rollback", {"version": first["version"]})
            stored = cluster.find("configmaps", "default", "catalog-sources")
            assert stored is not None
            assert stored["data"]["sources.yaml"] == SOURCES
            assert operator.names() == ["four", "one", "two"]


def test_a_configmap_that_somebody_else_changes(tmp_path: Path) -> None:
    """One change of one source is made again upon what they saved; with If-Match it is refused."""
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        with operating(tmp_path, CATALOG_CONFIG_STORE_MODE="k8s", CATALOG_KUBERNETES_URL=url) as operator:
            others = iter(["By hand", "By hand again"])

            def meddle(method: str, path: str) -> None:
                name = next(others, None) if method == "PUT" and path.endswith("/catalog-sources") else None
                if name is not None:
                    text = SOURCES.replace("Other skills", name)
                    body = {"metadata": {"name": "catalog-sources"}, "data": {"sources.yaml": text}}
                    cluster.put("configmaps", "default", body)

            cluster.before = meddle
            operator.apply(SPARE)
            assert operator.sources()["other"]["name"] == "By hand again"
            assert "spare" in operator.sources()


# --- several files ---


def test_an_override_file_has_the_last_word(tmp_path: Path) -> None:
    """A change that it would hide is refused: nothing pretends to be saved."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "catalogs:\n  skills:\n    sources:\n      - {id: main, enabled: true, name: Fixed}\n"
        "      - {id: extra, name: Extra, type: yaml, properties: {yamlCatalogPath: spare.yaml}}\n"
    )
    with operating(tmp_path):
        pass
    env = {"CATALOG_ALLOW_HEADER_AUTH": "true"}
    with open_client(tmp_path / "data", [tmp_path / "sources.yaml", overlay], **env) as client:
        operator = Operator(client, tmp_path, {**ROLE})
        before = overlay.read_bytes()
        for request in (
            ("POST", f"{MANAGEMENT}/sources/main/enable", {"enabled": False}),
            ("POST", f"{MANAGEMENT}/apply-source", {"id": "main", "name": "New", "type": "yaml"}),
            ("POST", f"{MANAGEMENT}/sources/extra/enable", {"enabled": False}),
            ("DELETE", f"{MANAGEMENT}/sources/main"),
            ("DELETE", f"{MANAGEMENT}/sources/extra"),
        ):
            error = operator.error(*request, status=409)
            assert "another" in error["message"] or "overlay.yaml" in error["message"]
        assert operator.file.read_text() == SOURCES
        assert overlay.read_bytes() == before
        assert list(operator.sources()) == ["extra", "main", "other"]
        fine = {"id": "main", "name": "Fixed", "type": "yaml", "labels": ["New"]}
        assert operator.apply(fine)["labels"] == ["New"]
