"""Tables and fields, at the width of a terminal and at none."""

from __future__ import annotations

from typing import Any

import pytest

from catalog_server.cli.client.tables import Column, Fields, Layout, Table, Text, at_path, show_block, show_cell
from catalog_server.cli.client.text import width_of

COLUMNS = (
    Column("Name", "name", is_whole=True),
    Column("Description", "text"),
    Column("Owner", "meta.owner"),
    Column("UID", "uid", is_wide=True),
)
ROWS = [
    {"name": "部署服务", "text": "x" * 120, "meta": {"owner": "y" * 60}, "uid": "u1"},
    {"name": "deploy", "text": "short", "meta": {}, "uid": "u2"},
]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (2.345, "2.35"),
        (["a", 1, None], "a, 1, "),
        ({"a": "ü"}, '{"a": "ü"}'),
        ("a\nb", "a b"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_value_when_shown_in_a_cell_then_one_line_of_text(value: Any, shown: str) -> None:
    assert show_cell(value) == shown.strip()


def test_value_when_shown_as_a_block_then_its_lines_and_a_dash_for_nothing() -> None:
    assert show_block("a\nb") == ["a", "b"]
    for nothing in (None, "", " \n", []):
        assert show_block(nothing) == ["-"]


def test_path_when_something_on_it_is_missing_then_none() -> None:
    assert at_path({"a": {"b": 1}}, "a.b") == 1
    for path in ("a.c", "x.y", "a.b.c"):
        assert at_path({"a": {"b": 1}}, path) is None


def test_table_without_a_terminal_then_nothing_is_cut() -> None:
    head, first, second = Table(COLUMNS, ROWS).text(Layout()).splitlines()
    assert head.split() == ["NAME", "DESCRIPTION", "OWNER"]
    assert "x" * 120 in first
    assert "y" * 60 in first
    assert second.startswith("deploy    short")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_table_in_a_terminal_then_rows_fit_and_names_are_whole(width: int) -> None:
    lines = Table(COLUMNS, ROWS).text(Layout(width=width)).splitlines()
    assert all(width_of(line) <= width for line in lines)
    assert lines[1].startswith("部署服务  ")
    assert "…" in lines[1]


def test_table_when_ids_alone_are_too_wide_then_they_are_whole_all_the_same() -> None:
    text = Table((Column("ID", "id", is_whole=True), Column("X", "x")), [{"id": "i" * 50, "x": "y" * 50}]).text(
        Layout(width=30)
    )
    assert "i" * 50 in text


def test_table_when_the_terminal_is_narrow_then_spare_columns_go_the_last_first() -> None:
    columns = [Column("ID", "id", is_whole=True), *(Column(name, name, is_spare=True) for name in ("a", "b"))]
    entries = [{"id": "i" * 36, "a": "x" * 20, "b": "y" * 20}]

    def shown(width: int | None) -> list[str]:
        return Table(columns, entries).text(Layout(width=width)).splitlines()[0].split()

    assert [shown(width) for width in (None, 56, 55, 45, 30)] == [
        *(["ID", "A", "B"], ["ID", "A", "B"], ["ID", "A"]),
        *(["ID"], ["ID"]),
    ]


def test_table_when_wide_then_all_columns_and_nothing_cut() -> None:
    text = Table(COLUMNS, ROWS).text(Layout(width=40, is_wide=True))
    assert "UID" in text
    assert "x" * 120 in text


def test_table_when_headers_are_not_wanted_then_rows_alone() -> None:
    assert Table(COLUMNS, ROWS).text(Layout(has_headers=False)).count("\n") == 2


def test_table_when_colour_is_wanted_then_bold_headers() -> None:
    assert Table(COLUMNS, ROWS).text(Layout(has_colour=True)).startswith("\x1b[1mNAME")


def test_table_without_entries_then_its_words_for_that() -> None:
    assert Table(COLUMNS, [], "Nothing.").text(Layout()) == "Nothing.\n"
    assert Table(COLUMNS, []).text(Layout()) == ""


def test_fields_then_labels_are_aligned_and_long_texts_stand_below() -> None:
    fields = Fields([("Name", "x"), ("Größe", 3), ("Text", "a\nb"), ("None", None)], "Overview")
    assert fields.text(Layout()) == "--- Overview ---\nName:  x\nGröße: 3\nText:\n    a\n    b\nNone:  -\n"


def test_diff_when_colour_is_wanted_then_additions_are_green_and_removals_red() -> None:
    text = Text(["update x", "  - a: 1", "  + a: 2"], is_diff=True)
    assert text.text(Layout()) == "update x\n  - a: 1\n  + a: 2\n"
    assert text.text(Layout(has_colour=True)).splitlines()[1:] == [
        "\x1b[31m  - a: 1\x1b[0m",
        "\x1b[32m  + a: 2\x1b[0m",
    ]
