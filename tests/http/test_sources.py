"""Sources and labels as readers see them (spec plugins.md 1.1 and 6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.http.client import BASES, Client, open_client

SKILLS = "/api/skills_catalog/v1alpha1"
MODELS = "/api/model_catalog/v1alpha1"
ITEM = {"id", "name", "enabled", "labels", "status", "error", "includedModels", "excludedModels"}
ENVELOPE = {"items", "sources", "count", "size", "pageSize", "nextPageToken", "totalSize"}
LABELS = [
    {"name": "c", "displayName": "Sea", "rank": "2"},
    {"name": "a"},
    {"name": None, "displayName": "Other"},
    {"name": "b", "displayName": "Bee", "rank": "1"},
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Twelve good sources, one broken, one partly broken, one disabled, one without a file; and four labels."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "broken.yaml").write_text("skills:\n  - name: one\n  - name: [\n")
    (folder / "partly.yaml").write_text("skills:\n  - name: fine\n  - description: nameless\n")
    good = [
        {
            "id": f"s{n:02}",
            "name": f"Source {99 - n}",
            "path": write_catalog(folder / f"{n}.yaml", "skills", named("x")),
        }
        for n in range(12)
    ]
    others = [
        {"id": "broken", "path": folder / "broken.yaml", "properties": {}},
        {"id": "missing", "path": folder / "nowhere.yaml"},
        {"id": "off", "path": folder / "0.yaml", "enabled": False},
        {"id": "outside", "path": "/etc/hostname"},
        {"id": "partly", "path": folder / "partly.yaml", "labels": ["a", "b"], "excludedItems": ["z*"]},
    ]
    sources = write_sources(folder / "sources.yaml", {"skills": [*good, *others]}, skills={"labels": LABELS})
    with open_client(folder / "data", sources) as found:
        yield found


@pytest.mark.parametrize("base", BASES)
def test_envelope(sample: Client, base: str) -> None:
    page = sample.ok(f"{base}/sources")
    assert set(page) == ENVELOPE
    assert page["count"] == page["size"] == page["totalSize"] == len(page["items"]) == len(page["sources"]) > 0
    for item, info in zip(page["items"], page["sources"], strict=True):
        assert set(item) == ITEM
        if info["type"] == "git":  # nothing runs the schedule of remote sources here
            assert (item["status"], item["error"]) == ("loading", None)
            continue
        assert (item["status"], item["error"]) == ("available", None)
        assert set(info) == {"id", "name", "type", "enabled", "labels", "status"}
        assert set(info["status"]) == {
            *("state", "entityCount", "lastRefreshTime", "lastRefreshStatus", "lastRefreshSummary"),
        }
        assert info["status"]["entityCount"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info["status"]["lastRefreshTime"])


def states(client: Client) -> dict[str, dict[str, object]]:
    return {one["id"]: one["status"] for one in client.ok(f"{SKILLS}/sources", pageSize=100)["sources"]}


def test_states(client: Client) -> None:
    found = states(client)
    shown = {key: found[key]["state"] for key in ("s00", "broken", "missing", "off", "outside", "partly")}
    assert shown == {
        "s00": "available",
        "broken": "error",
        "missing": "error",
        "off": "disabled",
        "outside": "error",
        "partly": "available",
    }
    assert re.search(r"broken\.yaml:\d+", str(found["broken"]["error"]))
    assert "nowhere.yaml" in str(found["missing"]["error"])
    assert "outside the data roots" in str(found["outside"]["error"])


def test_rejected_items_are_told(client: Client) -> None:
    status = states(client)["partly"]
    assert status["entityCount"] == 1
    (problem,) = status["problems"]  # type: ignore[misc]
    assert problem["severity"] == "error"
    assert problem["line"] == 3
    assert problem["file"].endswith("partly.yaml")
    assert problem["field"] == "name"
    assert problem["message"]


def test_the_flat_items_carry_the_error(client: Client) -> None:
    items = {one["id"]: one for one in client.ok(f"{SKILLS}/sources", pageSize=100)["items"]}
    assert items["broken"]["status"] == "error"
    assert items["broken"]["error"]
    assert items["off"]["enabled"] is False
    assert items["off"]["error"] is None
    assert items["partly"]["labels"] == ["a", "b"]
    assert items["partly"]["excludedModels"] == ["z*"]


def test_properties_and_folders_are_not_shown(client: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = client.get(f"{SKILLS}/sources", pageSize="100").text
    assert "yamlCatalogPath" not in text


def test_paging_and_order(client: Client) -> None:
    page = client.ok(f"{SKILLS}/sources")
    assert (page["pageSize"], len(page["items"]), page["totalSize"]) == (10, 10, 17)
    ids = [one["id"] for one in client.walk(f"{SKILLS}/sources", pageSize=4)]
    assert ids == sorted(ids)
    assert len(ids) == 17
    by_name = [one["name"] for one in client.walk(f"{SKILLS}/sources", "nextPageToken", pageSize=4, orderBy="name")]
    assert by_name == sorted(by_name)
    backwards = client.walk(f"{SKILLS}/sources", pageSize=4, orderBy="ID", sortOrder="desc")
    assert [one["id"] for one in backwards] == ids[::-1]


def test_name_is_a_part_of_the_name(client: Client) -> None:
    assert [one["id"] for one in client.ok(f"{SKILLS}/sources", name="SOURCE 9")["items"]] == [
        f"s{n:02}" for n in range(10)
    ]
    assert client.ok(f"{SKILLS}/sources", name="nothing like it")["items"] == []


@pytest.mark.parametrize("route", ["sources", "labels"])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [("pageSize", "0"), ("pageSize", "x"), ("pageSize", "-3"), ("sortOrder", "UP"), ("pageToken", "zzz")],
)
@pytest.mark.parametrize("base", [SKILLS, MODELS])
def test_bad_parameters(sample: Client, base: str, route: str, parameter: str, value: str) -> None:
    assert sample.error(f"{base}/{route}", **{parameter: value})["field"] == parameter


def test_bad_order_of_sources(sample: Client) -> None:
    assert sample.error(f"{SKILLS}/sources", orderBy="STATE")["field"] == "orderBy"


def test_a_token_belongs_to_one_list(client: Client) -> None:
    token = client.ok(f"{SKILLS}/sources", pageSize=2)["nextPageToken"]
    client.error(f"{SKILLS}/sources", pageSize=2, pageToken=token, sortOrder="DESC")
    client.error(f"{SKILLS}/sources", pageSize=2, pageToken=token, name="source")
    client.error(f"{SKILLS}/labels", pageSize=2, pageToken=token)


def test_labels_keep_the_order_of_the_configuration(client: Client) -> None:
    assert client.ok(f"{SKILLS}/labels") == {
        "items": LABELS,
        "size": 4,
        "pageSize": 10,
        "nextPageToken": "",
        "totalSize": 4,
    }


@pytest.mark.parametrize(
    ("order", "direction", "names"),
    [
        ("displayName", "ASC", ["b", None, "c", "a"]),
        ("displayName", "DESC", ["c", None, "b", "a"]),
        ("rank", "ASC", ["b", "c", "a", None]),
        ("rank", "DESC", ["c", "b", "a", None]),
        ("name", "ASC", ["a", "b", "c", None]),
        ("nothing", "DESC", ["c", "a", None, "b"]),
    ],
)
def test_labels_that_have_the_key_come_first(client: Client, order: str, direction: str, names: list[object]) -> None:
    whole = client.ok(f"{SKILLS}/labels", orderBy=order, sortOrder=direction)["items"]
    assert [label["name"] for label in whole] == names
    assert client.walk(f"{SKILLS}/labels", pageSize=1, orderBy=order, sortOrder=direction) == whole


def test_config_error(tmp_path: Path) -> None:
    file = write_catalog(tmp_path / "skills.yaml", "skills", named("one"))
    sources = write_sources(tmp_path / "s.yaml", {"skills": [{"id": "s", "path": file}]})
    good = sources.read_text()
    with open_client(tmp_path / "data", sources) as client:
        assert "configError" not in client.ok(f"{SKILLS}/sources")
        sources.write_text(good + "    surces: []\n")
        client.refresh()
        document = client.ok(f"{SKILLS}/sources")
        assert re.match(r"s\.yaml:\d+", document["configError"])
        assert "surces" in document["configError"]
        assert client.names(f"{SKILLS}/skills") == ["one"]
        sources.write_text(good)
        client.refresh()
        assert "configError" not in client.ok(f"{SKILLS}/sources")


@pytest.mark.parametrize("query", ["pageSize=&pageSize=x", "sortOrder=ASC&sortOrder=DESC", "orderBy=ID&orderBy=NAME"])
def test_a_parameter_that_is_given_twice_is_refused(client: Client, query: str) -> None:
    """Which of two contradicting values counts is nothing to guess."""
    name = query.partition("=")[0]
    answer = client.get(f"{SKILLS}/sources?{query}")
    assert answer.status_code == 400
    assert answer.json()["message"] == f"{name}: given more than once"
