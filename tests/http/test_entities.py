"""Lists and single entities of every kind: envelopes, paging, filters, orders (spec plugins.md 0.4, column OURS)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.http.client import AGENTS, LISTS, MODELS, SERVERS, SKILLS, Client, open_client

ENVELOPE = {"items", "size", "pageSize", "nextPageToken", "totalSize"}
PAGE_SIZES = dict.fromkeys(LISTS, 100) | {MODELS: 10, SERVERS: 20}
STRICT = (MODELS, SERVERS)
LENIENT = tuple(path for path in LISTS if path not in STRICT)
SKILL_COUNT = 1005


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """More entities than fit into the largest page, in two sources, one of them without labels."""
    folder = tmp_path_factory.mktemp("many")
    half = SKILL_COUNT // 2
    skills = [
        {"name": f"skill-{n:04}", "version": f"{n % 7}.0", "timeoutSeconds": n % 10, "description": f"Number {n}"}
        for n in range(SKILL_COUNT)
    ]
    write_catalog(folder / "a.yaml", "skills", skills[:half])
    write_catalog(folder / "b.yaml", "skills", skills[half:])
    # 100 % is a name like any other, and so are a colon and a quote.
    write_catalog(folder / "odd.yaml", "agents", named("a:b", "100%", "it's", 'say "hi"', "back\\slash", "ünï", "a b"))
    sources = write_sources(
        folder / "sources.yaml",
        {
            "skills": [
                {"id": "first", "path": folder / "a.yaml", "labels": ["One", "Both"]},
                {"id": "second", "path": folder / "b.yaml"},
                {"id": "off", "path": folder / "a.yaml", "enabled": False},
            ],
            "agents": [{"id": "odd", "path": folder / "odd.yaml"}],
        },
        skills={"namedQueries": {"slow": {"timeoutSeconds": {"operator": ">=", "value": 8}}}},
    )
    with open_client(folder / "data", sources) as client:
        yield client


@pytest.mark.parametrize("path", LISTS)
def test_envelope(sample: Client, path: str) -> None:
    page = sample.ok(path)
    assert set(page) == ENVELOPE
    assert page["pageSize"] == PAGE_SIZES[path]
    assert page["items"]
    assert page["size"] == (len(page["items"]) if path in STRICT else page["totalSize"])
    assert (page["nextPageToken"] != "") == (page["totalSize"] > len(page["items"]))


@pytest.mark.parametrize("path", LISTS)
def test_empty_list_has_the_same_envelope(sample: Client, path: str) -> None:
    assert sample.ok(path, q="no-such-word-anywhere") == {
        "items": [],
        "size": 0,
        "pageSize": PAGE_SIZES[path],
        "nextPageToken": "",
        "totalSize": 0,
    }


@pytest.mark.parametrize(
    ("path", "source_key", "has_id"),
    [(path, "source_id" if path == MODELS else "sourceId", path in STRICT) for path in LISTS],
)
def test_identity_of_an_entity(sample: Client, path: str, source_key: str, has_id: bool) -> None:
    for item in sample.ok(path)["items"]:
        assert item["name"]
        assert item[source_key]
        served = {"id", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"} & set(item)
        assert len(served) == (3 if has_id else 0)


@pytest.mark.parametrize("path", LISTS[1:])
def test_get_returns_the_listed_entity(sample: Client, path: str) -> None:
    for item in sample.ok(path)["items"]:
        assert sample.ok(f"{path}/{item['name']}") == item
        assert sample.ok(f"{path}/{item['name']}", sourceId=item["sourceId"]) == item
    sample.error(f"{path}/{item['name']}", 404, sourceId="other")


@pytest.mark.parametrize("name", ["a:b", "100%", "it's", 'say "hi"', "back\\slash", "ünï", "a b"])
def test_get_of_an_odd_name(many: Client, name: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    assert many.ok(f"{AGENTS}/{encoded}")["name"] == name


def test_a_colon_in_the_sort_value_does_not_end_the_walk(many: Client) -> None:
    names = [item["name"] for item in many.walk(AGENTS, pageSize=1, orderBy="NAME")]
    assert len(names) == 7
    assert set(names) == set(many.names(AGENTS))


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("given", "used"), [("1", 1), ("1000", 1000), ("1001", 1000), ("9" * 5000, 1000), ("+5", 5)])
def test_page_size_is_clamped(sample: Client, path: str, given: str, used: int) -> None:
    assert sample.ok(path, pageSize=given)["pageSize"] == used


def test_a_clamped_page_is_full(many: Client) -> None:
    page = many.ok(SKILLS, pageSize=5000)
    assert (len(page["items"]), page["size"], page["totalSize"]) == (1000, SKILL_COUNT, SKILL_COUNT)
    assert page["nextPageToken"]


BAD_SIZES = ("ten", "0", "-1", "1.5", "-" + "9" * 5000, "\uff11\uff12", "0x10", "1e3")


@pytest.mark.parametrize("given", BAD_SIZES)
@pytest.mark.parametrize("path", STRICT)
def test_bad_page_size_is_refused(sample: Client, path: str, given: str) -> None:
    assert sample.error(path, pageSize=given)["field"] == "pageSize"


@pytest.mark.parametrize("given", BAD_SIZES)
@pytest.mark.parametrize("path", LENIENT)
def test_bad_page_size_means_the_default(sample: Client, path: str, given: str) -> None:
    assert sample.ok(path, pageSize=given)["pageSize"] == 100


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("token", ["pageToken", "nextPageToken"])
def test_walk_with_either_token_name(sample: Client, path: str, token: str) -> None:
    whole = sample.ok(path, pageSize=1000)["items"]
    assert sample.walk(path, token, pageSize=3) == whole


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"orderBy": "version"},
        {"orderBy": "version", "sortOrder": "desc"},
        {"orderBy": "ID"},
        {"filterQuery": "timeoutSeconds > 3", "orderBy": "timeoutSeconds"},
        {"q": "number 9"},
        {"source": "second"},
        {"namedQuery": "slow"},
    ],
)
def test_walk_loses_and_repeats_nothing(many: Client, query: dict[str, str]) -> None:
    walked = [item["name"] for item in many.walk(SKILLS, pageSize=97, **query)]
    total = many.ok(SKILLS, **query)["totalSize"]
    assert len(walked) == len(set(walked)) == total > 97


def test_descending_is_the_reverse(sample: Client) -> None:
    ascending = sample.names(MODELS, pageSize=100, orderBy="NAME")
    assert sample.names(MODELS, pageSize=100, orderBy="NAME", sortOrder="DESC") == ascending[::-1]
    assert sample.names(MODELS, pageSize=100, orderBy="name", sortOrder="desc") == ascending[::-1]
    assert sample.names(MODELS, pageSize=100, orderBy="NAME", sortOrder="sideways") == ascending


def test_default_orders(sample: Client) -> None:
    for path in LISTS:
        items = sample.ok(path, pageSize=1000)["items"]
        by_id = path == SERVERS
        keys = [int(item["id"]) if by_id else item["name"] for item in items]
        assert keys == sorted(keys)


def test_entities_without_the_sort_value_come_last_both_ways(sample: Client) -> None:
    field = "artifacts.overall_average.double_value"
    rated = sample.ok(MODELS, filterQuery="artifacts.overall_average > 0")["totalSize"]
    for direction in ("ASC", "DESC"):
        names = sample.names(MODELS, pageSize=100, orderBy=field, sortOrder=direction)
        assert set(names[:rated]) == set(sample.names(MODELS, filterQuery="artifacts.overall_average > 0"))
        assert names == sample.names(MODELS, pageSize=100, orderBy="ACCURACY", sortOrder=direction)


@pytest.mark.parametrize("path", LISTS[1:])
def test_unknown_order_is_refused(sample: Client, path: str) -> None:
    error = sample.error(path, orderBy="nmae")
    assert error["field"] == "orderBy"
    assert "nmae" in error["message"]


def test_unknown_order_of_models_falls_back(sample: Client) -> None:
    assert sample.names(MODELS, orderBy="nmae") == sample.names(MODELS)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"pageSize": "7"}, 200),
        ({"filterQuery": "timeoutSeconds > 1"}, 400),
        ({"q": "number"}, 400),
        ({"orderBy": "version"}, 400),
        ({"sortOrder": "DESC"}, 400),
        ({"source": "first"}, 400),
        ({"namedQuery": "slow"}, 400),
    ],
)
def test_a_token_belongs_to_one_list(many: Client, changed: dict[str, str], status: int) -> None:
    token = many.ok(SKILLS, pageSize=5)["nextPageToken"]
    response = many.get(SKILLS, **({"pageSize": "5", "pageToken": token} | changed))
    assert response.status_code == status
    if status == 400:
        assert response.json()["field"] == "pageToken"


def test_a_token_of_another_kind_is_refused(sample: Client) -> None:
    token = sample.ok(SKILLS, pageSize=1)["nextPageToken"]
    assert sample.error(AGENTS, pageSize=1, nextPageToken=token)["field"] == "nextPageToken"


@pytest.mark.parametrize("token", ["x", "=", "MTA", "eyJ2IjoxfQ", "☃", "a" * 5000, "../..", "bnVsbA", "W10"])
@pytest.mark.parametrize("path", [MODELS, SKILLS])
def test_a_made_up_token_is_refused(sample: Client, path: str, token: str) -> None:
    assert sample.error(path, pageToken=token)["field"] == "pageToken"


def test_source(many: Client) -> None:
    half = SKILL_COUNT // 2
    assert many.ok(SKILLS, source="first")["totalSize"] == half
    assert many.ok(SKILLS, source="second")["totalSize"] == SKILL_COUNT - half
    assert many.ok(SKILLS, source="first,second")["totalSize"] == SKILL_COUNT
    assert many.ok(SKILLS, source=["first", " second ,nowhere"])["totalSize"] == SKILL_COUNT
    assert many.ok(SKILLS, source="nowhere")["items"] == []
    assert many.ok(SKILLS, source="off")["items"] == []
    assert many.ok(SKILLS, source="")["totalSize"] == SKILL_COUNT


def test_source_label(many: Client) -> None:
    half = SKILL_COUNT // 2
    assert many.ok(SKILLS, sourceLabel="one")["totalSize"] == half
    assert many.ok(SKILLS, sourceLabel="BOTH,other")["totalSize"] == half
    assert many.ok(SKILLS, sourceLabel="null")["totalSize"] == SKILL_COUNT - half
    assert many.ok(SKILLS, sourceLabel=["null", "One"])["totalSize"] == SKILL_COUNT
    assert many.ok(SKILLS, sourceLabel="other")["items"] == []


@pytest.mark.parametrize("path", LISTS)
def test_source_and_label_together_are_refused(sample: Client, path: str) -> None:
    error = sample.error(path, source="a", sourceLabel="b")
    assert "source" in error["message"]
    assert error["field"] == "sourceLabel"


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("text", "position"),
    [("name = ", 7), ("name = 'x' AND", 14), ("(name = 'x'", 11), ("name == 'x'", 6), ("nosuch = 'x'", 0), ("name", 4)],
)
def test_wrong_filter_names_its_position(sample: Client, path: str, text: str, position: int) -> None:
    if path == MODELS and text.startswith("nosuch"):
        text, position = "name LIKE 5", 10
    error = sample.error(path, filterQuery=text)
    assert (error["field"], error["position"]) == ("filterQuery", position)


def test_too_long_filter(sample: Client) -> None:
    error = sample.error(MODELS, filterQuery=f"name = '{'x' * 1100}'")
    assert error["field"] == "filterQuery"


def test_filters_meet_q_and_source(many: Client) -> None:
    assert many.names(SKILLS, q="NUMBER 37", filterQuery="timeoutSeconds = 7 AND version != '2.0'", source="first") == [
        f"skill-{n:04}" for n in range(502) if "37" in str(n) and n % 10 == 7 and n % 7 != 2
    ]


def test_named_query(many: Client) -> None:
    slow = many.names(SKILLS, namedQuery="slow", pageSize=1000)
    assert slow == [f"skill-{n:04}" for n in range(SKILL_COUNT) if n % 10 >= 8]
    assert many.names(SKILLS, namedQuery="slow", filterQuery="version = '0.0'", pageSize=1000) == [
        f"skill-{n:04}" for n in range(SKILL_COUNT) if n % 10 >= 8 and n % 7 == 0
    ]
    error = many.error(SKILLS, namedQuery="fast")
    assert error["field"] == "namedQuery"
    assert "slow" in error["message"]


@pytest.mark.parametrize("path", LISTS)
def test_every_named_query_of_the_sample_matches_something(sample: Client, path: str) -> None:
    queries = sample.ok(f"{path}/filter_options")["namedQueries"]
    assert queries
    for name in queries:
        assert sample.ok(path, namedQuery=name)["totalSize"] > 0, name


@pytest.mark.parametrize("path", LISTS)
def test_filter_options_can_be_filtered_by(sample: Client, path: str) -> None:
    document = sample.ok(f"{path}/filter_options")
    assert set(document) == {"filters", "namedQueries"}
    assert document["filters"]
    for name, option in document["filters"].items():
        prefix, _, last = name.rpartition(".")
        field = prefix if last in ("array_value",) else name
        if option["type"] == "string":
            assert set(option) == {"type", "values"}
            assert option["values"] == sorted(option["values"])
            value = "'" + option["values"][0].replace("\\", "\\\\").replace("'", "\\'") + "'"
        else:
            assert set(option) == {"type", "range"}
            assert option["range"]["min"] <= option["range"]["max"]
            value = option["range"]["max"]
        assert sample.ok(path, filterQuery=f"{field} = {value}")["totalSize"] > 0, name


@pytest.mark.parametrize("path", LISTS)
def test_asset_view(sample: Client, path: str) -> None:
    listed = sample.ok(path, view="asset", pageSize=2)
    assert set(listed) == {"apiVersion", "kind", "items", "nextPageToken", "totalSize"}
    assert listed["kind"] == "AssetList"
    native = sample.ok(path, pageSize=2)
    assert listed["nextPageToken"] == native["nextPageToken"]
    for asset, entity in zip(listed["items"], native["items"], strict=True):
        assert set(asset) == {"apiVersion", "kind", "metadata", "spec", "status"}
        assert asset["metadata"]["name"] == entity["name"]
        assert asset["metadata"]["sourceRef"]["sourceType"] == "yaml"
        assert asset["metadata"]["uid"]
    assert sample.error(path, view="picture")["field"] == "view"


@pytest.mark.parametrize("path", LISTS[1:])
def test_asset_view_of_one(sample: Client, path: str) -> None:
    asset = sample.ok(path, view="asset", pageSize=1)["items"][0]
    assert sample.ok(f"{path}/{asset['metadata']['name']}", view="asset") == asset


def test_dependencies(sample: Client) -> None:
    document = sample.ok(f"{AGENTS}/code-executor/dependencies")
    assert set(document) == {"agent", "links", "unresolved", "cycles"}
    assert document["links"]
    for link in document["links"]:
        assert link["resolved"]
        assert sample.ok(link["path"])["name"] == link["name"]
    sample.error(f"{AGENTS}/nobody/dependencies", 404)


def test_nothing_is_answered_before_the_first_load(tmp_path: Path) -> None:
    with open_client(tmp_path, load_now=False) as client:
        for path in LISTS:
            response = client.get(path)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["message"]
            client.error(f"{path}/filter_options", 503)
        assert client.ok("/api/plugins")["count"] == 8
