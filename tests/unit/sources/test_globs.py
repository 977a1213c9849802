"""Include and exclude patterns over entity names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.sources.globs import ItemFilter


@pytest.mark.parametrize(
    ("included", "excluded", "name", "accepted"),
    [
        ([], [], "anything", True),
        (["org/*"], [], "ORG/a/b", True),
        (["org/*"], [], "x-org/a", False),
        (["  LLaMA-* "], [], "llama-3", True),
        (["a*b*c"], [], "a-c-b", False),
        (["a*b*c"], [], "a-b-b-c", True),
        (["ab*bc"], [], "abc", False),
        (["*"], ["*-old"], "x-old", False),
        ([], ["x"], "X", False),
        ([], ["x"], "xx", True),
        (["a?c", "[ab]"], [], "abc", False),
        (["a?c"], [], "A?C", True),
        (["stra\u00dfe"], [], "STRASSE", True),
        (["**"], [], "", True),
    ],
)
def test_filter_then_accepts_as_documented(included: list[str], excluded: list[str], name: str, accepted: bool) -> None:
    assert ItemFilter(included, excluded).accepts(name) is accepted


def test_empty_pattern_then_refused_with_its_place() -> None:
    with pytest.raises(Invalid, match=re.escape("included[2]: pattern cannot be empty")) as caught:
        ItemFilter(["a", "b", "  "])
    assert caught.value.code == "glob_empty"
    with pytest.raises(Invalid, match=re.escape("excluded[0]: pattern cannot be empty")):
        ItemFilter([], [""])


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=12))
def test_pattern_then_agrees_with_regular_expression(pattern: str, name: str) -> None:
    reference = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
    assert ItemFilter([pattern]).accepts(name) is reference
    assert ItemFilter([], [pattern]).accepts(name) is not reference


def test_pattern_that_makes_regular_expressions_explode_then_ends() -> None:
    assert not ItemFilter(["a*" * 1000 + "b"]).accepts("a" * 100_000)
