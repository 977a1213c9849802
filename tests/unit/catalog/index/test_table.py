"""Tables of more rows than are turned into columns at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pyroaring import BitMap

from catalog_server.catalog.index.layout import kind_layout
from catalog_server.catalog.index.table import _TURN, Row, Table
from catalog_server.catalog.index.terms import TermsBuilder
from catalog_server.catalog.registry import discover

LAYOUT = kind_layout(next(plugin.kind for plugin in discover() if plugin.name == "mcp"))
COUNT = 2 * _TURN + 150
LATE = _TURN + 20


def make_document(number: int) -> dict[str, Any]:
    """Fields that come and go, twice the same tag, and a custom property that the first turn has not seen."""
    document: dict[str, Any] = {
        "name": f"n{number}",
        "tags": [f"t{number % 3}", "all", "all"],
        "description": "All of it",
    }
    if number % 2:
        document["toolCount"] = number
    if number >= LATE:
        document["customProperties"] = {
            "late": {"metadataType": "MetadataStringValue", "string_value": str(number % 2)}
        }
    return document


def make_row(number: int) -> Row:
    return Row(10 * number, f"n{number}", "source", number, number, msgspec.json.encode(make_document(number)))


@pytest.fixture(scope="module")
def built() -> tuple[Table, TermsBuilder]:
    words = TermsBuilder()
    return Table.build(LAYOUT, map(make_row, range(COUNT)), None, words), words


def test_table_when_rows_come_in_several_turns_has_each_value_at_its_position(
    built: tuple[Table, TermsBuilder],
) -> None:
    """Ids, documents and columns speak of the same positions."""
    table, _ = built
    values = {name: column.values for name, column in table.columns.items()}
    assert values["name"] == [f"n{number}" for number in range(COUNT)]
    assert values["toolCount"] == [number if number % 2 else None for number in range(COUNT)]
    assert values["tags"] == [(f"t{number % 3}", "all", "all") for number in range(COUNT)]
    assert values["customProperties.late"] == [None if n < LATE else str(n % 2) for n in range(COUNT)]
    assert {len(column) for column in values.values()} == {COUNT}
    for number in (0, 99, 100, _TURN - 1, _TURN, COUNT - 1):
        assert table.position(10 * number) == number
        assert table.documents[number] == make_row(number).document


def test_table_when_rows_come_in_several_turns_finds_them(built: tuple[Table, TermsBuilder]) -> None:
    """A text that stands twice in one list stands at its position once."""
    table, words = built
    assert table.columns["tags"].texts.positions("all") == BitMap(range(COUNT))
    assert table.columns["tags"].texts.positions("t1") == BitMap(range(1, COUNT, 3))
    assert table.columns["name"].texts.posting(f"n{LATE}") == LATE
    late = range(LATE, COUNT)
    assert table.columns["customProperties.late"].texts.positions("1") == BitMap([n for n in late if n % 2])
    assert words.build().positions("all") == BitMap(range(COUNT))


def test_table_when_changed_after_it_was_built_keeps_documents_apart(built: tuple[Table, TermsBuilder]) -> None:
    """New documents follow those of the build, in the same file."""
    table, _ = built
    upserts = [make_row(5)._replace(document=b'{"name":"other"}'), make_row(COUNT)]
    following, touched = table.changed(upserts, [10 * LATE])
    assert touched == BitMap([5, LATE, COUNT])
    assert following.documents[5] == b'{"name":"other"}'
    assert following.documents[6] == make_row(6).document
    assert following.documents[COUNT] == make_row(COUNT).document
    assert following.columns["tags"].values[5] is None
    assert following.columns["customProperties.late"].values[LATE] is None
    assert following.columns["customProperties.late"].values[COUNT] == str(COUNT % 2)
