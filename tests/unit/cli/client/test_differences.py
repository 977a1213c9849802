"""What applying a source would change."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.cli.client.differences import MARKER, Change, compare, show_change

CURRENT: dict[str, Any] = {
    "id": "a",
    "name": "A",
    "type": "http",
    "enabled": True,
    "properties": {"url": "u", "token": MARKER, "auth": {"user": "x", "password": MARKER}, "content": "text"},
    "status": {"state": "available"},
}
PROPERTIES = {key: value for key, value in CURRENT["properties"].items() if key != "content"}


def lines(*changes: Change) -> list[str]:
    return [line for change in changes for line in show_change(change)]


@pytest.mark.parametrize(
    "wanted",
    [
        {"id": "a"},
        {"id": "a", "name": "A", "enabled": True},
        {"properties": PROPERTIES},
        {"labels": [], "includedItems": [], "properties": {**PROPERTIES, "none": None}},
    ],
)
def test_source_when_as_wanted_then_no_changes(wanted: dict[str, Any]) -> None:
    assert compare(wanted, CURRENT) == []


def test_source_when_new_then_all_its_fields() -> None:
    assert lines(*compare({"id": "a", "labels": ["x", "no"]}, None)) == ["+ id: a", "+ labels: [x, 'no']"]


def test_source_when_other_then_old_and_new() -> None:
    changes = compare({"name": "B", "enabled": False, "labels": ["x"]}, CURRENT)
    assert lines(*changes) == [
        "- name: A",
        "+ name: B",
        "- enabled: true",
        "+ enabled: false",
        "- labels: []",
        "+ labels: [x]",
    ]


def test_properties_then_replaced_as_a_whole_but_the_text_of_the_file_stays() -> None:
    changes = compare({"properties": {"url": "v"}}, CURRENT)
    assert [change.field for change in changes] == ["properties.url", "properties.token", "properties.auth"]
    assert changes[2].new is None


def test_secret_when_given_in_plain_then_sent_again_and_shown_to_nobody() -> None:
    wanted = {"properties": {**PROPERTIES, "token": "plain", "auth": {"user": "x", "password": "geheim"}}}
    shown = lines(*compare(wanted, CURRENT))
    assert shown == ["~ properties.token: (a secret, sent again)", "~ properties.auth.password: (a secret, sent again)"]


def test_text_of_several_lines_and_controls_then_escaped_lines() -> None:
    assert lines(Change("properties.content", "a\x1b", "b\nc")) == [
        "- properties.content: a\\x1b",
        "+ properties.content:",
        "+   b",
        "+   c",
    ]
