"""/api/plugins and capabilities (spec http-api.md 1.3, plugins.md 6.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog_server.catalog.plugin import Plugin
from catalog_server.http.routes import discovery
from tests.catalog_files import named, write_catalog, write_sources
from tests.http.client import LISTS, Client, open_client

NAMES = ["model", "mcp", "knowledge", "prompts", "agents", "guardrails", "policies", "skills"]
PLUGIN_KEYS = {
    *("name", "displayName", "version", "description", "basePath", "healthy", "entityKinds"),
    *("capabilities", "capabilitiesV2", "management", "uiHints", "cliHints"),
}


def test_plugins(sample: Client) -> None:
    document = sample.ok("/api/plugins")
    assert document["count"] == 8
    assert [plugin["name"] for plugin in document["plugins"]] == NAMES
    for plugin in document["plugins"]:
        assert set(plugin) == PLUGIN_KEYS
        assert plugin["healthy"] is True
        assert plugin["basePath"] == f"/api/{plugin['name']}_catalog/v1alpha1"
        assert set(plugin["capabilities"]) >= {"entityKinds", "listEntities", "getEntity", "listSources", "artifacts"}
        assert plugin["capabilitiesV2"] == sample.ok(f"/api/plugins/{plugin['name']}/capabilities")


def test_capabilities_lead_to_routes(sample: Client) -> None:
    for name, path in zip(NAMES, LISTS[:2] + LISTS[4:6] + (LISTS[3],) + LISTS[6:] + (LISTS[2],), strict=True):
        document = sample.ok(f"/api/plugins/{name}/capabilities")
        (entity,) = document["entities"]
        assert entity["endpoints"]["list"] == path
        first = sample.ok(path, pageSize=1)["items"][0]
        get = entity["endpoints"]["get"].replace("{source_id}", first.get("source_id", ""))
        assert sample.ok(get.replace("{name}", first["name"])) == first
        actions = {action["id"] for action in document["actions"]}
        assert set(entity.get("actions", [])) <= actions


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_advertised_is_accepted(sample: Client, name: str) -> None:
    (entity,) = sample.ok(f"/api/plugins/{name}/capabilities")["entities"]
    path = entity["endpoints"]["list"]
    tried = 0
    for field in entity["fields"]["filterFields"]:
        condition = {"boolean": "=true", "number": ">0", "integer": ">0"}.get(field["type"], "='test'")
        sample.ok(path, filterQuery=field["name"] + condition)
        tried += 1
    for column in entity["fields"]["columns"]:
        if column.get("sortable"):
            sample.ok(path, orderBy=column["name"])
            tried += 1
    assert tried > 4


def test_unknown_plugin(sample: Client) -> None:
    error = sample.error("/api/plugins/nope/capabilities", 404)
    assert error == {"error": 'plugin "nope" not found', "message": 'plugin "nope" not found'}


CAPABILITIES = "/api/plugins/skills/capabilities"
CACHED = ("/api/plugins", CAPABILITIES)


@dataclass
class Editable:
    """A client, and the files that it serves."""

    client: Client
    folder: Path

    def told(self, path: str, **options: object) -> str:
        """What X-Cache says."""
        return self.client.get(path, **options).headers["x-cache"]  # type: ignore[arg-type]

    def put(self, *sources: dict[str, object], **keys: object) -> None:
        write_sources(self.folder / "s.yaml", {"skills": list(sources)}, skills=keys)
        self.client.refresh()


@contextmanager
def editing(folder: Path, **env: str) -> Iterator[Editable]:
    file = write_catalog(folder / "skills.yaml", "skills", named("one"))
    sources = write_sources(folder / "s.yaml", {"skills": [{"id": "s", "path": file}]})
    with open_client(folder / "data", sources, **env) as client:
        yield Editable(client, folder)


def test_answers_are_cached(tmp_path: Path) -> None:
    """One entry for each route and plugin: unknown parameters make no answer of their own."""
    with editing(tmp_path) as editable:
        for path in CACHED:
            first, second = editable.client.get(path), editable.client.get(path, any="thing")
            assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
            assert first.content == second.content
            assert first.headers["etag"] == second.headers["etag"]
        assert editable.told("/api/plugins/mcp/capabilities") == "MISS"
        for number in range(1500):
            assert editable.told(CAPABILITIES, **{f"x{number}": "1"}) == "HIT"


@pytest.mark.parametrize("path", CACHED)
def test_conditional_discovery(tmp_path: Path, path: str) -> None:
    with editing(tmp_path) as editable:
        client = editable.client
        first = client.get(path)
        assert first.headers["cache-control"] == "private, no-cache"
        for wanted in (first.headers["etag"], "*"):
            second = client.get(path, headers={"If-None-Match": wanted})
            assert (second.status_code, second.content, second.headers["x-cache"]) == (304, b"", "HIT")
            assert second.headers["etag"] == first.headers["etag"]
        assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_errors_are_misses(tmp_path: Path) -> None:
    with editing(tmp_path, CATALOG_TENANCY_MODE="namespace") as editable:
        for path, status in (("/api/plugins/nope/capabilities?namespace=a", 404), ("/api/plugins", 400)):
            for _ in range(2):
                response = editable.client.get(path)
                assert (response.status_code, response.headers["x-cache"]) == (status, "MISS")


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE"])
def test_other_methods_tell_nothing(tmp_path: Path, method: str) -> None:
    with editing(tmp_path) as editable:
        for path in (*CACHED, *CACHED, "/api/plugins/nope/capabilities"):
            assert "x-cache" not in editable.client.request(method, path).headers
        assert [editable.told(path) for path in CACHED] == ["MISS", "MISS"]


def test_each_namespace_has_its_own(tmp_path: Path) -> None:
    with editing(tmp_path, CATALOG_TENANCY_MODE="namespace") as editable:
        etags = set()
        for namespace in ("team-a", "team-b"):
            assert editable.told("/api/plugins", namespace=namespace) == "MISS"
            response = editable.client.get("/api/plugins", headers={"X-Namespace": namespace})
            assert response.headers["x-cache"] == "HIT", "the header and the parameter mean the same"
            etags.add(response.headers["etag"])
        assert len(etags) == 2


@pytest.mark.parametrize("path", CACHED)
def test_changes_make_the_kept_answer_worthless(tmp_path: Path, path: str) -> None:
    """Each change of the configuration and of what is loaded, as any replica finds it (spec http-api.md 1.3)."""
    with editing(tmp_path) as editable:

        def check(change: str) -> None:
            assert [editable.told(path), editable.told(path)] == ["MISS", "HIT"], change

        file = str(tmp_path / "skills.yaml")
        check("start")
        editable.client.refresh()
        assert editable.told(path) == "HIT", "nothing changed"
        editable.put({"id": "s", "path": file, "enabled": False})
        check("disabled")
        editable.put({"id": "s", "path": file}, labels=[{"name": "new"}])
        check("enabled, another label")
        write_catalog(tmp_path / "skills.yaml", "skills", named("one", "two"))
        editable.client.refresh()
        check("refreshed")
        editable.put()
        check("deleted")


def test_a_replica_forgets_what_another_one_changed(tmp_path: Path) -> None:
    """Nobody tells it: the version that it holds has moved on with its configuration and its index."""
    env = {"DATABASE_DSN": f"sqlite:///{tmp_path}/shared.db"}
    with editing(tmp_path, **env) as first, open_client(tmp_path / "other", tmp_path / "s.yaml", **env) as other:
        second = Editable(other, tmp_path)
        for path in CACHED:
            assert [second.told(path), second.told(path)] == ["MISS", "HIT"]
        write_catalog(tmp_path / "skills.yaml", "skills", named("one", "two"))
        first.client.refresh()
        assert second.told("/api/plugins") == "HIT", "not seen yet"
        other.server.background._follower.catch_up()
        for path in CACHED:
            assert [second.told(path), second.told(path)] == ["MISS", "HIT"]
        write_sources(tmp_path / "s.yaml", {"skills": []})
        other.server.background._loader.reconcile()
        for path in CACHED:
            assert second.told(path) == "MISS"


def test_what_is_computed_during_a_change_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that a change has overtaken belongs to neither state, also when the first one comes back."""
    with editing(tmp_path) as editable:
        source = {"id": "s", "path": str(tmp_path / "skills.yaml")}
        describe = discovery.capabilities_v2

        def overtaken(plugin: Plugin, governance: dict[str, object]) -> dict[str, object]:
            found = describe(plugin, governance)
            monkeypatch.setattr(discovery, "capabilities_v2", describe)
            editable.put(source, labels=[{"name": "new"}])
            return found

        etag = editable.client.request("HEAD", CAPABILITIES).headers["etag"]
        monkeypatch.setattr(discovery, "capabilities_v2", overtaken)
        assert editable.told(CAPABILITIES) == "MISS"
        editable.put(source)
        assert editable.client.request("HEAD", CAPABILITIES).headers["etag"] == etag
        assert [editable.told(CAPABILITIES) for _ in range(2)] == ["MISS", "HIT"]


def test_the_cache_can_be_off(tmp_path: Path) -> None:
    with editing(tmp_path, CATALOG_CACHE_ENABLED="false") as editable:
        for path in (*CACHED, *CACHED, "/api/plugins/nope/capabilities"):
            assert "x-cache" not in editable.client.get(path).headers
        etag = editable.client.get(CAPABILITIES).headers["etag"]
        response = editable.client.get(CAPABILITIES, headers={"If-None-Match": etag})
        assert response.status_code == 304
        assert "x-cache" not in response.headers


def test_its_size_and_the_order_of_leaving(tmp_path: Path) -> None:
    with editing(tmp_path, CATALOG_CACHE_MAX_SIZE="2") as editable:

        def told(name: str) -> str:
            return editable.told(f"/api/plugins/{name}/capabilities")

        assert [told(name) for name in ("mcp", "skills", "mcp", "agents")] == ["MISS", "MISS", "HIT", "MISS"]
        assert [told("mcp"), told("skills")] == ["HIT", "MISS"], "the least recently used leaves"


def test_health_is_never_stale(tmp_path: Path) -> None:
    file = write_catalog(tmp_path / "skills.yaml", "skills", named("one"))
    sources = write_sources(tmp_path / "s.yaml", {"skills": [{"id": "s", "path": file}]})

    def healthy(client: Client) -> list[str]:
        return [one["name"] for one in client.ok("/api/plugins")["plugins"] if one["healthy"]]

    with open_client(tmp_path / "data", sources) as client:
        assert healthy(client) == NAMES
        # Broken from the start and so without any data: that is what unhealthy means.
        write_sources(sources, {"skills": [{"id": "s2", "path": tmp_path / "nowhere.yaml"}]})
        client.refresh()
        assert healthy(client) == NAMES[:-1]
        status, body = client.get("/readyz").status_code, client.get("/readyz").json()
        assert status == 503
        assert body["components"]["plugins"] == {"status": "degraded", "details": "7 of 8 plugins healthy"}
        write_catalog(tmp_path / "nowhere.yaml", "skills", named("two"))
        client.refresh()
        assert healthy(client) == NAMES


def test_health_is_of_the_tenants_sources(tmp_path: Path) -> None:
    """What one tenant configures makes no plugin unhealthy for another one, nor the server that they share."""
    file = write_catalog(tmp_path / "agents.yaml", "agents", named("one"))
    sources = write_sources(
        tmp_path / "s.yaml",
        {
            "skills": [{"id": "s", "path": tmp_path / "nowhere.yaml", "namespace": "team-a"}],
            "agents": [{"id": "s", "path": file, "namespace": "team-b"}],
        },
    )
    with open_client(tmp_path / "data", sources, CATALOG_TENANCY_MODE="namespace") as client:
        for namespace, unhealthy in (("team-a", ["skills"]), ("team-b", []), ("team-c", [])):
            for _ in range(2):
                plugins = client.ok("/api/plugins", namespace=namespace)["plugins"]
                assert [one["name"] for one in plugins if not one["healthy"]] == unhealthy, namespace
        assert client.get("/readyz").json()["components"]["plugins"]["status"] == "healthy"


def test_home_page(sample: Client) -> None:
    response = sample.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert all(path in response.text for path in LISTS)
