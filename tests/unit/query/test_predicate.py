from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_server.query.checker import Condition
from catalog_server.query.fields import Field, ValueType
from catalog_server.query.nodes import Operator, Scalar, Value
from catalog_server.query.predicate import like_pattern, literal_chunk, matches

UNSAVED = settings(database=None, deadline=None, max_examples=200)

TEXT = Field("name", ValueType.STRING)
FOLDED = Field("status", ValueType.STRING, fold_equality=True)
PLAIN_LIKE = Field("description", ValueType.STRING, bare_like_is_substring=True)
LIST = Field("tasks", ValueType.STRING, array=True)
NUMBER = Field("score", ValueType.NUMBER)
FREE = Field("customProperties.x", ValueType.ANY)


def holds(field: Field, operator: str, value: Value, values: Sequence[Scalar], only: ValueType | None = None) -> bool:
    return matches(Condition(field, Operator(operator), value, only), values)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("=", "a"),
        ("!=", "a"),
        ("<", "a"),
        ("<=", "a"),
        (">", "a"),
        (">=", "a"),
        ("LIKE", "%"),
        ("ILIKE", "%"),
        ("IN", ("a",)),
        ("IN", ()),
        ("NOT IN", ("a",)),
        ("NOT IN", ()),
        ("IS NOT NULL", None),
    ],
)
def test_matches_when_the_value_is_missing_then_only_is_null_holds(operator: str, value: Value) -> None:
    for field in (TEXT, LIST, FREE, FOLDED, PLAIN_LIKE):
        assert not holds(field, operator, value, [])
        assert holds(field, "IS NULL", None, [])


@pytest.mark.parametrize(
    ("field", "operator", "value", "values", "expected"),
    [
        (TEXT, "=", "a", ["a"], True),
        (TEXT, "=", "a", ["A"], False),
        (TEXT, "!=", "a", ["A"], True),
        (TEXT, "!=", "a", ["a"], False),
        (TEXT, "IN", ("a", "b"), ["b"], True),
        (TEXT, "IN", (), ["b"], False),
        (TEXT, "NOT IN", ("a", "b"), ["b"], False),
        (TEXT, "NOT IN", ("a", "b"), ["c"], True),
        (TEXT, "NOT IN", (), ["c"], True),
        (TEXT, "IS NULL", None, [""], False),
        (TEXT, "IS NOT NULL", None, [""], True),
        (TEXT, "<", "a", ["Z"], True),
        (TEXT, "<", "\U0001f600", ["\uffff"], True),
        (TEXT, "<=", "a", ["a"], True),
        (TEXT, ">", "a", ["a"], False),
        (TEXT, ">=", "a", ["b"], True),
        (FOLDED, "=", "ACTIVE", ["active"], True),
        (FOLDED, "=", "STRASSE", ["straße"], True),
        (FOLDED, "!=", "Active", ["aCTIVE"], False),
        (FOLDED, "IN", ("X", "Active"), ["aCTIVE"], True),
        (FOLDED, "NOT IN", ("X", "Active"), ["aCTIVE"], False),
        (NUMBER, "=", 1, [1.0], True),
        (NUMBER, "=", 1.0, [1], True),
        (NUMBER, "<", 2**62 + 1, [2**62], True),
        (NUMBER, "<", 1.5, [1], True),
        (NUMBER, "IN", (1, 2.5), [2.5], True),
    ],
)
def test_matches_when_one_value_is_present_then_follows_the_operator(
    field: Field, operator: str, value: Value, values: list[Scalar], expected: bool
) -> None:
    assert holds(field, operator, value, values) is expected


@pytest.mark.parametrize(
    ("operator", "value", "values", "expected"),
    [
        ("=", "a", ["a", "b"], True),
        ("=", "c", ["a", "b"], False),
        ("!=", "a", ["a", "b"], False),
        ("!=", "c", ["a", "b"], True),
        ("IN", ("c", "b"), ["a", "b"], True),
        ("IN", ("c", "d"), ["a", "b"], False),
        ("NOT IN", ("c", "b"), ["a", "b"], False),
        ("NOT IN", ("c", "d"), ["a", "b"], True),
        ("LIKE", "b%", ["a", "bc"], True),
        ("LIKE", '%"text-gen%', ["x", "text-generation"], True),
        ("LIKE", '["a","b"]', ["a", "b"], True),
        ("LIKE", '["a"]', ["a"], True),
        ("LIKE", '["ä","b"]', ["ä", "b"], True),
        ("LIKE", "A", ["a"], False),
        ("ILIKE", '["A","B"]', ["a", "b"], True),
        ("LIKE", "c", ["a", "b"], False),
    ],
)
def test_matches_when_the_field_is_a_list_then_asks_its_elements_or_its_json_text(
    operator: str, value: Value, values: list[Scalar], expected: bool
) -> None:
    assert holds(LIST, operator, value, values) is expected


def test_matches_when_a_single_text_looks_like_json_then_is_not_wrapped() -> None:
    assert not holds(TEXT, "LIKE", '["a"]', ["a"])
    assert not holds(FREE, "LIKE", '["a"]', ["a"])
    assert holds(FREE, "LIKE", '["a",1]', ["a", 1])


@pytest.mark.parametrize(
    ("operator", "value", "values", "expected"),
    [
        ("=", 1, [1.0], True),
        ("=", 1, [True], False),
        ("=", True, [1], False),
        ("=", True, [True], True),
        ("=", "1", [1], False),
        ("!=", 1, ["a"], False),
        ("!=", 1, [True], False),
        ("!=", "a", [1], False),
        ("!=", True, [False], True),
        ("<", 2, ["a"], False),
        ("<", 2, [True], False),
        ("LIKE", "%", [1], False),
        ("IN", (1, "a"), ["a"], True),
        ("NOT IN", (1, "a"), ["b"], True),
        ("NOT IN", (1,), ["b"], False),
        ("NOT IN", (), [1], True),
        ("IS NULL", None, [1], False),
    ],
)
def test_matches_when_the_field_is_free_form_then_the_literal_decides_the_type(
    operator: str, value: Value, values: list[Scalar], expected: bool
) -> None:
    assert holds(FREE, operator, value, values) is expected


@pytest.mark.parametrize(
    ("only", "present", "missing"),
    [
        (ValueType.STRING, ["a"], [1, 1.5, True]),
        (ValueType.INTEGER, [1], ["a", 1.5, True]),
        (ValueType.NUMBER, [1, 1.5], ["a", True]),
        (ValueType.BOOLEAN, [False], ["a", 1, 1.5]),
        (ValueType.ANY, ["a", 1, 1.5, True], []),
    ],
)
def test_matches_when_a_suffix_fixes_the_type_then_other_values_are_missing(
    only: ValueType, present: list[Scalar], missing: list[Scalar]
) -> None:
    assert all(holds(FREE, "IS NOT NULL", None, [value], only) for value in present)
    assert all(holds(FREE, "IS NULL", None, [value], only) for value in missing)


@pytest.mark.parametrize(
    ("operator", "pattern", "text", "expected"),
    [
        ("LIKE", "WORLD", "hello world!", True),
        ("ILIKE", "WORLD", "hello world!", True),
        ("LIKE", "w_rld", "hello world!", False),
        ("LIKE", "w_rld", "W_RLD", True),
        ("LIKE", r"50\%", "at 50% off", True),
        ("LIKE", "world%", "hello world!", False),
        ("LIKE", "Hello%", "hello world!", False),
        ("LIKE", "", "anything", True),
    ],
)
def test_matches_when_the_field_takes_bare_patterns_then_like_without_percent_is_a_substring(
    operator: str, pattern: str, text: str, expected: bool
) -> None:
    assert holds(PLAIN_LIKE, operator, pattern, [text]) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("abc", "xabc", False),
        ("a%", "a", True),
        ("%c", "abc", True),
        ("%b%", "abc", True),
        ("a%a", "a", False),
        ("a%b%a", "aba", True),
        ("ab%ba", "aba", False),
        ("_", "", False),
        ("_", "\n", True),
        ("__", "x", False),
        ("%_", "", False),
        ("%_b_%", "abbb", True),
        ("%a_c%d", "abaacdcd", True),
        ("", "", True),
        ("", "a", False),
        ("%%", "", True),
        (r"\%", "%", True),
        (r"\%", "x", False),
        (r"a\_c", "abc", False),
        (r"a\\c", r"a\c", True),
        ("a\\", "a\\", True),
        (r"\q", "q", True),
    ],
)
def test_like_pattern_when_applied_then_covers_the_whole_text(pattern: str, text: str, expected: bool) -> None:
    assert like_pattern(pattern)(text) is expected


def test_like_pattern_when_folding_then_ignores_case_on_both_sides() -> None:
    assert like_pattern("STRASSE%", fold=True)("Straße 1")
    assert like_pattern("%É_", fold=True)("caféS")
    assert not like_pattern("A")("a")


def reference(pattern: str, text: str) -> bool:
    """LIKE by the textbook: try every length for each `%`."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(reference(pattern[1:], text[length:]) for length in range(len(text) + 1))
    escaped = pattern[0] == "\\" and len(pattern) > 1
    wanted, rest = (pattern[1], pattern[2:]) if escaped else (pattern[0], pattern[1:])
    fits = text[:1] == wanted or (wanted == "_" and not escaped)
    return bool(text) and fits and reference(rest, text[1:])


PATTERNS = st.text("ab%_\\", max_size=8)


@UNSAVED
@given(PATTERNS, st.text("ab%_\\", max_size=12))
def test_like_pattern_when_compared_with_a_slow_reference_then_agrees(pattern: str, text: str) -> None:
    assert like_pattern(pattern)(text) is reference(pattern, text)


@UNSAVED
@given(PATTERNS, st.text("abAB%_\\", max_size=12), st.booleans())
def test_literal_chunk_when_the_pattern_matches_then_is_part_of_the_text(
    pattern: str, text: str, bare_substring: bool
) -> None:
    if like_pattern(pattern, fold=True, bare_substring=bare_substring)(text):
        assert literal_chunk(pattern).casefold() in text.casefold()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("%granite%", "granite"), ("ab_cde%f", "cde"), (r"a\%b_", "a%b"), ("%_%", ""), ("", ""), ("ab%cd", "ab")],
)
def test_literal_chunk_when_there_are_several_runs_then_is_the_longest(pattern: str, expected: str) -> None:
    assert literal_chunk(pattern) == expected


@pytest.mark.parametrize(
    "pattern",
    ["%a%a%a%a%b", "%" + "a_" * 500 + "b%", "%" + "a" * 1000 + "b%", "%_" * 500 + "b", "%a" * 510 + "b%"],
)
def test_like_pattern_when_the_text_is_long_and_hostile_then_ends(pattern: str) -> None:
    # Milliseconds in practice; backtracking would take longer than a test may.
    assert not like_pattern(pattern)("a" * 10_240)


@pytest.mark.parametrize("pattern", ["%a%a%a%a%b", "%a_%_a%b", "%_" * 500 + "b", "%a" * 510 + "b", "a%a%b_"])
def test_like_pattern_when_the_text_is_huge_then_takes_time_in_proportion(pattern: str) -> None:
    # Milliseconds again; what takes the square of the length would need days.
    assert not like_pattern(pattern)("a" * 10_000_000)
