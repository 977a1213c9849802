"""The list of all assets, and one asset by kind and name (spec http-api.md 4.8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.http.client import LISTS, Client, open_client

ASSETS = "/api/assets"
KINDS = sorted(
    ("Agent", "CatalogModel", "Guardrail", "KnowledgeSource", "McpServer", "Policy", "PromptTemplate", "Skill")
)


def walk(client: Client, **parameters: object) -> list[tuple[str, str, str]]:
    """(kind, name, source) of the assets of all pages."""
    found = client.walk(ASSETS, **parameters)
    return [(one["kind"], one["metadata"]["name"], one["metadata"]["sourceRef"]["sourceId"]) for one in found]


def test_list_when_walked_then_is_every_entity_once_in_order_of_kind_and_name(sample: Client) -> None:
    first = sample.ok(ASSETS)
    assert (first["apiVersion"], first["kind"]) == ("catalog/v1alpha1", "AssetList")
    total = sum(sample.ok(path)["totalSize"] for path in LISTS)
    assert first["totalSize"] == total
    for size in (1, 7, 1000):
        found = walk(sample, pageSize=size)
        assert len(found) == len(set(found)) == total
        assert [kind for kind, _, _ in found] == sorted(kind for kind, _, _ in found)
        for kind in KINDS:
            names = [name.casefold() for one, name, _ in found if one == kind]
            assert names == sorted(names)
    assert walk(sample, sortOrder="DESC", pageSize=5)[0][0] == KINDS[-1]


def test_list_when_narrowed_then_shows_only_that(sample: Client) -> None:
    assert {kind for kind, _, _ in walk(sample, kind="Agent")} == {"Agent"}
    assert {kind for kind, _, _ in walk(sample, plugin="mcp")} == {"McpServer"}
    assert {source for _, _, source in walk(sample, sourceId="agents-research")} == {"agents-research"}
    assert walk(sample, plugin="mcp", kind="Agent") == []
    filtered = walk(sample, filterQuery="deploymentMode='local'", pageSize=2)
    assert filtered
    assert {kind for kind, _, _ in filtered} == {"McpServer"}  # the only kind that has the field
    named_like = walk(sample, filterQuery="name LIKE '%chat%'", pageSize=3)
    assert named_like == [one for one in walk(sample) if "chat" in one[1]]
    assert walk(sample, q="kubernetes")


def test_list_when_asked_wrongly_then_says_what_is_wrong(sample: Client) -> None:
    assert sample.error(ASSETS, kind="Nope")["field"] == "kind"
    assert sample.error(ASSETS, plugin="nope")["field"] == "plugin"
    assert sample.error(ASSETS, filterQuery="noSuchField=1")["field"] == "filterQuery"
    assert sample.error(ASSETS, sortOrder="up")["field"] == "sortOrder"
    token = sample.ok(ASSETS, pageSize=3)["nextPageToken"]
    assert sample.error(ASSETS, pageSize=3, pageToken=token, kind="Agent")["field"] == "pageToken"
    assert sample.error(ASSETS, pageToken="x")["field"] == "pageToken"


def test_asset_when_got_then_is_the_same_as_in_the_list(sample: Client) -> None:
    for asset in sample.ok(ASSETS, pageSize=1000)["items"]:
        path = f"{ASSETS}/{asset['kind']}/{asset['metadata']['name']}"
        assert sample.ok(path) == asset
    assert sample.get(f"{ASSETS}/Agent/nobody").status_code == 404
    assert sample.get(f"{ASSETS}/Nope/nobody").status_code == 404


def test_list_when_not_changed_then_304(sample: Client) -> None:
    tag = sample.get(ASSETS, pageSize=2).headers["etag"]
    assert sample.get(ASSETS, pageSize=2, headers={"If-None-Match": tag}).status_code == 304


@pytest.fixture
def doubled(tmp_path: Path) -> Iterator[Client]:
    """Two sources with an agent of the same name."""
    files = {one: write_catalog(tmp_path / f"{one}.yaml", "agents", named("twin", one)) for one in ("a", "b")}
    sources = write_sources(tmp_path / "s.yaml", {"agents": [{"id": one, "path": path} for one, path in files.items()]})
    with open_client(tmp_path / "data", sources) as found:
        yield found


def test_asset_when_several_sources_have_it_then_the_client_chooses(doubled: Client) -> None:
    answer = doubled.get(f"{ASSETS}/Agent/twin")
    assert answer.status_code == 300
    assert [one["sourceId"] for one in answer.json()["choices"]] == ["a", "b"]
    for one in ("a", "b"):
        assert doubled.ok(f"{ASSETS}/Agent/twin", sourceId=one)["metadata"]["sourceRef"]["sourceId"] == one
    assert [name for _, name, _ in walk(doubled, pageSize=1)] == ["a", "b", "twin", "twin"]
