"""Equality and ranges over the sorted numbers of a column, against a look at each number."""

from __future__ import annotations

import random

import pytest
from pyroaring import BitMap

from catalog_server.catalog.index.numbers import COMPARE, Numbers
from catalog_server.query.nodes import Operator


def numbers_of(count: int, distinct: int) -> list[tuple[int, float]]:
    """(position, number) pairs; some positions hold two numbers, as a list does."""
    rng = random.Random(count)
    pairs = [(position, float(rng.randrange(distinct))) for position in range(count)]
    return pairs + [(position, float(rng.randrange(distinct))) for position in range(0, count, 7)]


@pytest.mark.parametrize("op", COMPARE)
@pytest.mark.parametrize(
    ("count", "distinct"), [(0, 1), (1, 1), (600, 5), (5000, 1), (5000, 40), (5000, 4000), (40_000, 10**6)]
)
def test_select_of_any_range_gives_the_positions_that_a_scan_gives(count: int, distinct: int, op: Operator) -> None:
    """Few or many distinct numbers, one number at a position or two: a range holds what satisfies it."""
    pairs = numbers_of(count, distinct)
    numbers = Numbers.build(pairs)
    for value in [-1.0, 0.0, distinct / 3, float(distinct // 2), float(distinct - 1), distinct + 1.0]:
        wanted = BitMap([position for position, number in pairs if COMPARE[op](number, value)])
        assert numbers.select(op, value) == wanted
        assert numbers.select(op, value) == wanted, "asked again, from what was kept"


def test_select_after_a_change_gives_the_new_numbers() -> None:
    """A change makes new numbers; what the old ones have kept stays theirs."""
    numbers = Numbers.build([(position, float(position % 9)) for position in range(4000)])
    before = numbers.select(Operator.GREATER_EQUAL, 5)
    following = numbers.changed(BitMap([5]), [(5, 1.0), (4000, 8.0)])
    assert following.select(Operator.GREATER_EQUAL, 5) == (before - BitMap([5])) | BitMap([4000])
    assert numbers.select(Operator.GREATER_EQUAL, 5) == before
