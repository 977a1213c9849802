"""Marks: plain values with sensible defaults."""

from __future__ import annotations

import dataclasses

import pytest

from catalog_server.schema.marks import Mark, mark


def test_mark_when_made_by_the_shorthand_then_is_the_mark() -> None:
    assert mark(width="sm", filter=True) == Mark(width="sm", filter=True)


def test_mark_when_given_nothing_then_advertises_nothing() -> None:
    plain = Mark()
    assert not any((plain.width, plain.filter, plain.facet, plain.search, plain.cli, plain.section, plain.links_to))
    assert plain.sortable
    assert plain.others == "error"


def test_mark_when_given_an_unknown_use_or_changed_then_is_refused() -> None:
    with pytest.raises(TypeError):
        mark(filterable=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Mark().width = "sm"  # type: ignore[misc]
