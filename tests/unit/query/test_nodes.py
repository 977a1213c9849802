from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from catalog_server.query.nodes import Comparison, Operator, Property, literals_of


def test_a_comparison_when_only_its_positions_differ_then_is_equal_and_hashes_alike() -> None:
    left = Comparison(Property(("a",), position=0), Operator.EQUAL, 1, 2, 4)
    right = Comparison(Property(("a",), position=9), Operator.EQUAL, 1, 11, 13)
    assert left == right
    assert hash(left) == hash(right)


def test_a_node_when_written_to_then_refuses() -> None:
    with pytest.raises(FrozenInstanceError):
        Property(("a",)).quoted = True  # type: ignore[misc]


@pytest.mark.parametrize(("value", "expected"), [(None, ()), ("a", ("a",)), (("a", 1), ("a", 1)), ((), ())])
def test_literals_of_when_given_any_operand_then_is_a_flat_tuple(value: object, expected: object) -> None:
    assert literals_of(value) == expected  # type: ignore[arg-type]
