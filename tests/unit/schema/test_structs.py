"""msgspec's faults in our words, and JSON paths as steps. What entities say is tested in test_decode.py."""

from __future__ import annotations

import msgspec
import pytest

from catalog_server.errors import Invalid
from catalog_server.schema.structs import convert, steps_of


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: int


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[Inner]


def test_a_value_that_fits_is_converted() -> None:
    assert convert({"parts": [{"size": 3}]}, Outer) == Outer([Inner(3)])


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        ({}, "parts", "required, and missing"),
        ({"parts": [{"size": 1}, {}]}, "parts[1].size", "required, and missing"),
        ({"parts": [{"size": "x"}]}, "parts[0].size", "expected `int`, got `str`"),
        ({"parts": [{"size": 1, "sise": 1}]}, "parts[0].sise", "unknown field; did you mean 'size (parts)'?"),
        ([], None, "expected `object`, got `array`"),
    ],
)
def test_a_fault_names_its_path(value: object, field: str | None, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        convert(value, Outer, lambda key, parent: f"size ({parent})")
    assert (caught.value.field, caught.value.reason) == (field, words)


def test_a_path_as_steps() -> None:
    assert steps_of("parts[12].size") == ["parts", 12, "size"]
    assert steps_of(None) == []
