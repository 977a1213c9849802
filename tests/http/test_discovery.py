"""/api/plugins and capabilities (spec http-api.md 1.3, plugins.md 6.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_answers_are_cached(tmp_path: Path) -> None:
    with open_client(tmp_path) as client:
        for path in ("/api/plugins", "/api/plugins/mcp/capabilities"):
            first, second = client.get(path), client.get(path, any="thing")
            assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
            assert first.content == second.content
        assert client.get("/api/plugins/skills/capabilities").headers["x-cache"] == "MISS"


def test_the_cache_can_be_off(tmp_path: Path) -> None:
    with open_client(tmp_path, CATALOG_CACHE_ENABLED="false") as client:
        for _ in range(2):
            assert "x-cache" not in client.get("/api/plugins").headers
            assert "x-cache" not in client.get("/api/plugins/mcp/capabilities").headers


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


def test_home_page(sample: Client) -> None:
    response = sample.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert all(path in response.text for path in LISTS)
