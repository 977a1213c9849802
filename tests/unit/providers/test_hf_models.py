"""From a model as the hub's library has it to an entry: the mapping of spec plugins.md 3.5, and odd models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_server.plugins.model import plugin
from catalog_server.providers.hf_library import ModelInfo
from catalog_server.providers.hf_models import (
    build_document,
    describe_model,
    encode_entry,
    is_complete,
    name_of,
    with_readme,
)
from catalog_server.schema.decode import decode_entity
from catalog_server.schema.yaml_reader import iter_items

KEYS = st.text(max_size=5).filter(lambda key: key not in ("self", "tags"))
"""In a card these can be what the library refuses, see test_hf_library.py."""
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("author", "library_name", "pipeline_tag", "task", "tags", "private", "gated", "cardData", "config")


def record(**fields: Any) -> ModelInfo:
    return ModelInfo(**{"id": "acme/a", **fields})


def entry(**fields: Any) -> dict[str, Any]:
    return describe_model(record(**fields)).entry


def properties(**fields: Any) -> dict[str, str]:
    found = entry(**fields).get("customProperties", {})
    return {key: value["string_value"] for key, value in found.items()}


def read_back(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    data = build_document([encode_entry(one) for one in entries])
    assert json.loads(data) == {"models": list(entries)}
    return [item.value for item in iter_items(data, file="hf:hub", keys=plugin.kind.file_keys)]


def test_only_a_name_then_still_an_entry() -> None:
    found = entry()
    assert found.pop("logo").startswith("data:")
    assert found == {
        **{"name": "acme/a", "externalId": "acme/a", "provider": "acme"},
        "artifacts": [{"uri": "hf://acme/a", "name": "acme/a-hf-artifact", "externalId": "acme/a"}],
    }
    assert "provider" not in describe_model(record(id="gpt2")).entry


@pytest.mark.parametrize("given", [None, 7, ["acme/a"], {}])
def test_name_is_no_text_then_none(given: Any) -> None:
    assert name_of(record(id=given)) == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"cardData": {"license": "mit"}}, False),
        ({"siblings": [{"rfilename": "README.md"}]}, False),
        ({"siblings": [{"rfilename": "README.md"}], "cardData": {"license": "mit"}}, True),
        ({"siblings": [{"rfilename": "config.json"}]}, True),
        ({"siblings": [], "cardData": {}}, True),
    ],
)
def test_complete_then_with_files_and_with_the_card_that_a_readme_can_have(
    fields: dict[str, Any], expected: bool
) -> None:
    assert is_complete(record(**fields)) is expected


@pytest.mark.parametrize(
    ("tags", "card", "expected"),
    [
        (["x", "license:mit", "license:other"], {"license": "gemma"}, "mit"),
        (["license:"], {"license": "gemma"}, "gemma"),
        (None, {"license": "https://a.test"}, None),
        (None, {"data": {"license": "mit"}}, "mit"),
        (None, {"license": ["mit"]}, None),
    ],
)
def test_license_then_the_first_tag_else_the_card(tags: Any, card: Any, expected: str | None) -> None:
    assert entry(tags=tags, cardData=card).get("license") == expected


@pytest.mark.parametrize("key", ["license_link", "licenseLink", "license_url", "licenseUrl", "license"])
def test_license_link_then_the_first_that_is_a_link(key: str) -> None:
    assert entry(cardData={"license_link": "LICENSE", key: "https://a.test/l"})["licenseLink"] == "https://a.test/l"
    assert "licenseLink" not in entry(cardData={key: "LICENSE"})


def test_card_at_the_top_then_before_the_one_below_data() -> None:
    """Defect 57: the public API sends no `data` key."""
    found = entry(cardData={"description": "top", "data": {"description": "below", "language": "de"}})
    assert (found["description"], found["language"]) == ("top", ["de"])


@pytest.mark.parametrize(
    ("given", "expected"), [("en", ["en"]), (["en", False, "de", "en"], ["en", "de"]), (False, None), ([], None)]
)
def test_language_then_a_list_of_texts(given: Any, expected: Any) -> None:
    assert entry(cardData={"language": given}).get("language") == expected


def test_tasks_then_both_once() -> None:
    assert entry(task="b", pipeline_tag="a")["tasks"] == ["b", "a"]
    assert entry(task="a", pipeline_tag="a")["tasks"] == ["a"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2024-05-06T07:08:09.123Z", "1714979289123"),
        ("2024-05-06T07:08:09Z", "1714979289000"),
        ("1960-01-01T00:00:00Z", None),
        (None, None),
        ("", None),
    ],
)
def test_times_then_milliseconds(given: Any, expected: str | None) -> None:
    found = entry(createdAt=given, lastModified=given)
    assert found.get("createTimeSinceEpoch") == found.get("lastUpdateTimeSinceEpoch") == expected


def test_custom_properties_then_texts() -> None:
    config = {"architectures": ["A", 5], "model_type": "llama"}
    assert properties(private=False, gated="auto", tags=["ü", "license:mit", "ü"], config=config) == {
        **{"hf_private": "false", "hf_gated": "auto", "hf_tags": '["ü"]'},
        **{"hf_architectures": '["A"]', "hf_model_type": "llama"},
    }
    assert properties(private=True, gated=False) == {"hf_private": "true", "hf_gated": "false"}


def test_nothing_of_the_moment_then_no_last_synced() -> None:
    assert "last_synced" not in properties(private=True)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["readme.md", "README.md"], "README.md"), (["README"], "README"), (["docs/README.md"], None), ([], None)],
)
def test_readme_file_then_the_first_known_name(names: list[str], expected: str | None) -> None:
    assert describe_model(record(siblings=[{"rfilename": name} for name in names])).readme_file == expected


@settings(max_examples=50)
@given(st.fixed_dictionaries({}, optional={field: ANYTHING for field in FIELDS}), st.text())
def test_whatever_a_hub_sends_then_the_model_plugin_takes_it(fields: dict[str, Any], readme: str) -> None:
    found = with_readme(entry(**fields), readme)
    (value,) = read_back(found)
    assert value == found
    decoded = decode_entity(plugin.kind, value, "hub")
    assert decoded.name == "acme/a"
    assert decoded.warnings == ()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_readme_then_comes_back_as_it_was(readme: str) -> None:
    """Line ends and characters that YAML would fold or refuse included."""
    (value,) = read_back(with_readme(entry(), readme))
    assert value.get("readme", "") == (readme if readme.strip() else "")


def test_several_and_none_then_a_document() -> None:
    assert read_back() == []
    assert [one["name"] for one in read_back(entry(), entry(id="acme/b"))] == ["acme/a", "acme/b"]
