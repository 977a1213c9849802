"""One answer in all formats."""

from __future__ import annotations

import json

import pytest
import yaml

from catalog_server.cli.client.rendering import FORMATS, dump, render
from catalog_server.cli.client.tables import Column, Layout
from catalog_server.cli.client.views import list_view

ENTRIES = [
    {"id": "a", "basePath": "/x", "text": "ü\x1b\x9b\u202e\u2028'no'"},
    {"id": "no", "basePath": "on", "text": "\ud800"},
]
DOCUMENT = {"items": ENTRIES, "size": 2}


def rendered(form: str) -> str:
    return "".join(render(list_view(DOCUMENT, ENTRIES, [Column("Text", "text")], "id", ""), form, Layout()))


def test_json_and_yaml_then_the_same_keys_and_values() -> None:
    assert json.loads(rendered("json")) == DOCUMENT
    assert yaml.safe_load(rendered("yaml").replace("\\uD800", "")) == {
        "items": [ENTRIES[0], {**ENTRIES[1], "text": ""}],
        "size": 2,
    }
    assert list(json.loads(rendered("json"))["items"][0]) == list(yaml.safe_load(dump(DOCUMENT, "yaml"))["items"][0])


def test_jsonl_then_one_entry_per_line() -> None:
    assert [json.loads(line) for line in rendered("jsonl").splitlines()] == ENTRIES


def test_name_then_one_id_per_line() -> None:
    assert rendered("name") == "a\nno\n"


@pytest.mark.parametrize("form", FORMATS)
def test_any_format_then_no_control_character_and_it_can_be_encoded(form: str) -> None:
    text = rendered(form)
    text.encode()
    assert not any((ord(one) < 0x20 and one != "\n") or 0x7F <= ord(one) < 0xA0 or one == "\u202e" for one in text)


def test_json_then_letters_of_all_languages_as_they_are() -> None:
    assert "部署" in dump({"name": "部署"}, "json")
    assert "部署" in dump({"name": "部署"}, "yaml")
