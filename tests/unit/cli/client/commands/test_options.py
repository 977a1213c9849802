"""One page, several, all: what becomes of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from catalog_server.cli.client.commands.options import Listing
from catalog_server.cli.client.failures import Failure

PAGES = [
    {"items": [1, 2], "size": 2, "nextPageToken": "t1", "totalSize": 5},
    {"items": [3, 4], "size": 2, "nextPageToken": "t2", "totalSize": 5},
    {"items": [5], "size": 1, "nextPageToken": "", "totalSize": 5},
]


class Pages:
    def __init__(self) -> None:
        self.asked = 0

    def __iter__(self) -> Iterator[Any]:
        for page in PAGES:
            self.asked += 1
            yield page


@pytest.mark.parametrize(
    ("limit", "wants_all", "entries", "token", "asked"),
    [
        (None, False, [1, 2], "t1", 1),
        (None, True, [1, 2, 3, 4, 5], "", 3),
        (1, False, [1], "", 1),
        (2, False, [1, 2], "t1", 1),
        (3, False, [1, 2, 3], "", 2),
        (9, False, [1, 2, 3, 4, 5], "", 3),
        (3, True, [1, 2, 3], "", 2),
    ],
)
def test_list_then_no_more_pages_than_it_takes_and_one_document(
    limit: int | None, wants_all: bool, entries: list[int], token: str, asked: int
) -> None:
    pages = Pages()
    found = Listing("items", pages, limit, wants_all=wants_all)
    assert (found.entries, found.token, pages.asked) == (entries, token, asked)
    assert found.document == {"items": entries, "size": len(entries), "nextPageToken": token, "totalSize": 5}


def test_list_when_there_are_more_then_said_with_the_token() -> None:
    assert "--next-page-token t1" in Listing("items", PAGES, None, wants_all=False).notes[0]
    assert Listing("items", PAGES, 1, wants_all=False).notes == ["There are more."]
    assert Listing("items", PAGES, None, wants_all=True).notes == []


def test_list_under_another_key_then_found() -> None:
    assert Listing("skills", [{"results": [1]}], None, wants_all=False).entries == [1]
    with pytest.raises(Failure, match="catalog-server"):
        Listing("skills", [{"other": []}], None, wants_all=False)
