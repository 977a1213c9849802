"""Pages out of an order, against sorting all hits."""

from __future__ import annotations

import random
from array import array

import pytest
from pyroaring import BitMap

from catalog_server.catalog.index.ordering import Order, Place, sort_key
from catalog_server.query.nodes import Scalar

COUNT = 9000
IDS = array("q", (7 * position + 3 for position in range(COUNT)))


def values_of(distinct: int) -> list[Scalar | None]:
    rng = random.Random(distinct)
    return [None if rng.random() < 0.1 else rng.randrange(distinct) for _ in range(COUNT)]


def sorted_hits(values: list[Scalar | None], hits: BitMap, descending: bool) -> list[int]:
    present = [(sort_key(value), IDS[p], p) for p, value in enumerate(values) if value is not None and p in hits]
    missing = [(IDS[p], p) for p, value in enumerate(values) if value is None and p in hits]
    present.sort(reverse=descending)
    missing.sort(reverse=descending)
    return [row[-1] for row in (*present, *missing)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("step", [1, 2, 13, 800, COUNT])
@pytest.mark.parametrize("distinct", [3, 10**9])
def test_page_of_hits_is_what_sorting_all_of_them_gives(distinct: int, step: int, descending: bool) -> None:
    """Many hits or few, in both directions, with ties and entities without a value, from any place on."""
    values = values_of(distinct)
    order = Order(values.__getitem__, IDS, range(COUNT))
    hits = BitMap(range(0, COUNT, step))
    wanted = sorted_hits(values, hits, descending)
    assert order.page(hits, descending, None, 50).tolist() == wanted[:50]
    for at in {0, len(wanted) // 2, len(wanted) - 1}:
        position = wanted[at]
        for known in (position, None):
            after = Place(values[position], IDS[position], known)
            assert order.page(hits, descending, after, 50).tolist() == wanted[at + 1 : at + 51]


@pytest.mark.parametrize("descending", [False, True])
def test_page_of_hits_at_the_end_of_the_order_finds_them(descending: bool) -> None:
    """Hits that all stand at one end of the order are found, however far away."""
    values: list[Scalar | None] = list(range(COUNT))
    order = Order(values.__getitem__, IDS, range(COUNT))
    hits = BitMap(range(COUNT - 700, COUNT)) if not descending else BitMap(range(700))
    assert order.page(hits, descending, None, 30).tolist() == sorted_hits(values, hits, descending)[:30]
    assert order.page(BitMap(), descending, None, 30).tolist() == []


def test_page_after_an_entity_that_has_changed_goes_on_behind_its_old_place() -> None:
    """A token remembers a value: the next page begins behind that value, also where the entity has another one now."""
    values: list[Scalar | None] = list(range(100))
    order = Order(values.__getitem__, IDS, range(100))
    changed: list[Scalar | None] = [*values]
    changed[40] = 99.5
    following = order.changed(changed.__getitem__, IDS, BitMap([40]), [40])
    assert following.page(None, False, Place(40, IDS[40], 40), 3).tolist() == [41, 42, 43]
    assert following.page(None, False, Place(99, IDS[99], 99), 3).tolist() == [40]


def test_page_after_a_value_of_another_type_compares_by_type() -> None:
    """To Python 1 and True are equal; in an order, numbers come before booleans."""
    values: list[Scalar | None] = [1, True, 2]
    order = Order(values.__getitem__, IDS, range(3))
    assert order.page(None, False, Place(1, IDS[1], 1), 3).tolist() == [2, 1]
