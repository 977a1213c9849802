"""Values to text that reads back as the same values."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import read_document
from catalog_server.schema.yaml_rewriter import is_same
from catalog_server.schema.yaml_writer import Style, block_lines, flow_text, scalar_text

TRICKY = (
    *(
        "",
        " ",
        "a ",
        " a",
        "null",
        "~",
        "Null",
        "true",
        "FALSE",
        "yes",
        "No",
        "on",
        "y",
        "1",
        "-1",
        "+1",
        "0x1F",
        "0o7",
    ),
    *("1e5", "1.0", ".5", "1.", ".inf", "-.INF", ".nan", "2031-04-01", "12:30", "1_000", "0777", "- a", "-", "--- a"),
    *("...", "a: b", "a:", "a #b", "#a", "a#b", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "[", "{a}", "a, b", "<<"),
    *('"', "'a'", "a'b", "\\", "\n", "a\nb\n", "\t", "a\tb", "\r", "\x85", "\u2028", "\ufeff", "\x7f", "é", "名", "😀"),
    *("https://host/a?b=c#d", "llama-*", "*-old", "key", "a  b", "=", "=a", "0o", "0x", "1e", "e1", "?", "? a", "a?"),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(TRICKY),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)
keys = st.one_of(st.sampled_from(TRICKY), st.text("abc -:", min_size=1, max_size=5))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


def read(text: str) -> Any:
    return read_document(text.encode(), file="x.yaml").value


@given(values, st.booleans())
def test_flow_when_read_then_same_value(value: Any, is_json: bool) -> None:
    assert is_same(read(f"k: {flow_text(value, is_json=is_json)}"), {"k": value})
    assert is_same(read(f"[{flow_text(value, is_json=is_json)}, 1]"), [value, 1])


@given(st.dictionaries(keys, values, min_size=1, max_size=4), st.sampled_from([2, 4]), st.sampled_from([0, 2]))
def test_block_when_read_then_same_value(value: dict[str, Any], step: int, list_offset: int) -> None:
    assert is_same(read("\n".join(block_lines(value, Style(step, list_offset)))), value)


@given(scalars)
def test_scalar_when_read_by_yaml_1_1_then_text_stays_text(value: Any) -> None:
    text = f"k: {scalar_text(value)}"
    found = yaml.safe_load(text)["k"]
    assert found == value
    assert isinstance(found, str) == isinstance(value, str)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("no", '"no"'),
        ("1e5", '"1e5"'),
        ("0o7", '"0o7"'),
        ("~", '"~"'),
        ("Team models", "Team models"),
        ("../data/models.yaml", "../data/models.yaml"),
        ("https://host:8080/a", "https://host:8080/a"),
        ("llama-*", "llama-*"),
        (70_000_000_000, "70000000000"),
        (1e16, "1.0e+16"),
        ({}, "{}"),
    ],
)
def test_scalar_then_plain_where_that_is_safe(value: Any, text: str) -> None:
    assert scalar_text(value) == text


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**63, object(), "\ud800"])
def test_value_that_no_file_can_hold_then_invalid(value: Any) -> None:
    with pytest.raises(Invalid):
        scalar_text(value)


def test_key_when_too_long_then_invalid() -> None:
    with pytest.raises(Invalid, match="more than 1000"):
        flow_text({"k" * 1001: 1})


def test_block_then_short_lists_on_one_line() -> None:
    value = {"id": "a", "labels": ["A", "no"], "list": [{"k": [1, [2]]}, []], "map": {"x": None}}
    assert block_lines(value, Style()) == [
        *("id: a", 'labels: [A, "no"]', "list:", "  - k:", "      - 1", "      - [2]", "  - []", "map:", "  x: null"),
    ]
