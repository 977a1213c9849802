"""The YAML reader: core-schema values, places, limits, and data files read item by item."""

from __future__ import annotations

import itertools
import json
import math
import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid, Location, TooLarge
from catalog_server.schema.yaml_reader import Item, Limits, iter_items, nearest_key, read_document


def read(text: str | bytes, **limits: int) -> Any:
    data = text.encode() if isinstance(text, str) else text
    return read_document(data, file="f.yaml", limits=Limits(**limits)).value


def fault_of(text: str | bytes, **limits: int) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(text, **limits)
    return caught.value


def items(text: str, *keys: str, file: str = "data.yaml") -> list[Item]:
    return list(iter_items(text.encode(), file=file, keys=keys or ("models",)))


def item_fault(text: str, *keys: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        items(text, *keys)
    return caught.value


SCALARS = [
    *[(word, None) for word in ("null", "~", "Null", "NULL", "")],
    *[(word, True) for word in ("true", "True", "TRUE")],
    *[(word, False) for word in ("false", "False", "FALSE")],
    *[(word, word) for word in ("no", "on", "yes", "off", "y", "N", "tRUE", "nULL", "2024-01-02", "1_000", "1:30")],
    *[(word, word) for word in (".", "+", "1.2.3", "0b1", "0xg", "nullable", "12 MB", "e5", "-.x", "+.")],
    *[("0", 0), ("-0", 0), ("+3", 3), ("007", 7), ("0x1F", 31), ("0o17", 15)],
    *[("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))],
    *[(".5", 0.5), ("1e5", 100000.0), ("-1.5E-3", -0.0015), ("1.", 1.0), ("3.25", 3.25)],
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_plain_scalar_when_read_then_has_core_schema_value(text: str, value: object) -> None:
    result = read(f"k: {text}\n")["k"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(("text", "_value"), SCALARS)
def test_quoted_scalar_when_read_then_is_text(text: str, _value: object) -> None:
    assert read(f"[ '{text}', \"{text}\" ]") == [text, text]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        *[(text, "JSON") for text in (".inf", "-.INF", "+.Inf", ".nan", ".NaN")],
        ("1e999", "too large for a float"),
        *[(text, "64 bits") for text in ("9223372036854775808", "-9223372036854775809", "1" * 5000, "0x" + "f" * 17)],
    ],
)
def test_number_that_json_or_database_cannot_hold_then_refused(text: str, part: str) -> None:
    error = fault_of(f"a: 1\nk: {text}")
    assert part in error.reason
    assert error.location == Location("f.yaml", 2, 4)


def test_explicit_core_tags_when_read_then_obeyed() -> None:
    text = "a: !!str 1\nb: !!int '7'\nc: !!float 1\nd: !!null ''\ne: !!bool true\nf: !!map {}\ng: !!seq []\nh: !!str"
    assert read(text) == {"a": "1", "b": 7, "c": 1.0, "d": None, "e": True, "f": {}, "g": [], "h": ""}


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [x]",
        *("!!binary aGk=", "!foo x", "! x", "!!timestamp 2024-01-01", "!!set {}", "!!int x", "!!bool 1"),
        *("!!null x", "!!map []", "!!seq {}", "!!float .inf", "!!map x"),
    ],
)
def test_other_tag_or_wrong_content_then_refused(value: str) -> None:
    assert fault_of(f"k: {value}").location == Location("f.yaml", 1, 4)


def test_merge_key_when_used_then_explicit_keys_win_and_first_source_wins() -> None:
    text = "b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {y: 4, <<: [*b, {x: 9, z: 1}]}\ne: {'<<': text}"
    assert read(text) == {
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 4, "z": 1},
        "e": {"<<": "text"},
    }
    assert "merge key" in fault_of("a: {<<: 1}").reason


@pytest.mark.parametrize("key", ["1", "true", "~", "1.5", "[a]", "{a: b}", "? [a]\n"])
def test_key_that_is_not_text_then_refused(key: str) -> None:
    assert "key" in fault_of(f"{key}: x").reason


def test_language_code_no_as_key_and_value_then_stays_text() -> None:
    assert read("no: no") == {"no": "no"}


def test_duplicate_key_then_names_both_lines() -> None:
    error = fault_of("top:\n  a: 1\n  b: 2\n  'a': 3\n")
    assert 'the key "a"' in error.reason
    assert "lines 2 and 4" in error.reason
    assert error.location == Location("f.yaml", 4, 3)


def test_syntax_error_then_names_line_and_column() -> None:
    error = fault_of("a: [1\nb: }")
    assert "YAML parse error:" in error.message
    assert error.code == "yaml_parse_error"
    assert error.location == Location("f.yaml", 2, 2)


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"a: 1\nb: \xc3x", 2, 5),
        (b"a: 1\n\xc3\xa9: \xff", 2, 4),
        (b"a: \x00", 1, 4),
        (b"a: \x1b[0m", 1, 4),
        (b"a: \xed\xa0\x80", 1, 4),
    ],
)
def test_bytes_that_are_no_text_then_refused_with_line(data: bytes, line: int, column: int) -> None:
    error = fault_of(data)
    assert error.message.startswith(f"f.yaml:{line}:{column}: YAML parse error:")


def test_utf16_then_refused_and_utf8_bom_then_read() -> None:
    assert "UTF-16" in fault_of("a: 1".encode("utf-16")).reason
    assert read(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize("escape", ["\\0", "\\x00", "\\u0000", "\\U00000000"])
def test_escaped_nul_then_refused(escape: str) -> None:
    assert "NUL" in fault_of(f'a: "x{escape}"').reason


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", "---\n", "null"])
def test_empty_document_then_value_is_none(text: str) -> None:
    document = read_document(text.encode(), file="f.yaml")
    assert document.value is None
    assert document.locate(("a",)).file == "f.yaml"


def test_second_document_then_refused() -> None:
    assert fault_of("a: 1\n---\nb: 2").location == Location("f.yaml", 2, 1)
    assert read("---\na: 1\n...\n") == {"a": 1}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[[{b: "])
def test_ten_thousand_levels_then_refused_at_once(opening: str) -> None:
    assert "64 levels" in fault_of(opening * 10_000).reason


def test_depth_when_exactly_at_limit_then_read() -> None:
    assert read("[" * 64 + "]" * 64) is not None
    assert isinstance(fault_of("[" * 65 + "]" * 65), TooLarge)


def test_size_when_over_limit_then_too_large() -> None:
    error = fault_of("a: 12345", max_bytes=7)
    assert isinstance(error, TooLarge)
    assert error.code == "content_too_large"


def test_alias_bomb_then_refused_at_once() -> None:
    names = string.ascii_lowercase[:20]
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names)]
    error = fault_of("\n".join(lines))
    assert isinstance(error, TooLarge)
    assert "aliases expand to more than 100000 nodes" in error.reason


def test_alias_bomb_of_merge_keys_or_long_text_then_refused() -> None:
    wide = "a: &a {" + ", ".join(f"k{number}: v" for number in range(1000)) + "}\n"
    assert isinstance(fault_of(wide + "b: [" + "{<<: *a}, " * 200 + "]"), TooLarge)
    assert isinstance(fault_of(f"a: &a {'x' * 100_000}\nb: [" + "*a, " * 100 + "]"), TooLarge)


def test_aliases_that_nest_too_deep_then_refused() -> None:
    text = "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40
    assert isinstance(fault_of(text), TooLarge)


def test_alias_when_anchored_before_then_has_value() -> None:
    assert read("a: &a {x: 1}\nb: *a\nc: &a 2\nd: *a") == {"a": {"x": 1}, "b": {"x": 1}, "c": 2, "d": 2}


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {<<: *a}", "b: *a\na: &a 1", "&a a: 1\n*b : 2"])
def test_alias_to_nothing_or_itself_then_refused(text: str) -> None:
    fault_of(text)


def test_locate_then_gives_place_of_key_entry_or_nearest_ancestor() -> None:
    text = "a: 1\nlist:\n  - x\n  - name: y\n    deep: {p: 1,\n      q: 2}\nalias: [&v 1, *v]\n"
    document = read_document(text.encode(), file="f.yaml")
    places = {
        (): (1, 1),
        ("a",): (1, 1),
        ("list",): (2, 1),
        ("list", 1): (4, 5),
        ("list", 1, "deep", "q"): (6, 7),
        ("list", 1, "absent", "deeper"): (4, 5),
        ("list", 9): (2, 1),
        ("alias", 1): (7, 15),
    }
    assert {path: document.locate(path) for path in places} == {
        path: Location("f.yaml", *place) for path, place in places.items()
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"), max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.printable, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_json_when_read_as_json_file_then_same_value(value: Any) -> None:
    text = json.dumps(value, indent=1)
    if "\\u0000" not in text and "\x7f" not in text:  # YAML takes no raw DEL, JSON does
        assert read_document(text.encode(), file="x.json").value == value


@given(JSON)
def test_yaml_dump_when_read_then_same_value(value: Any) -> None:
    # Quoted, because the writer follows YAML 1.1, where a plain 0E0 is text; numbers get an explicit tag.
    text = yaml.safe_dump(value, default_style='"')
    if "\\0" not in text:
        assert read(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_when_written_as_json_then_same_value(value: float) -> None:
    result = read(json.dumps(value))
    assert result == value
    assert math.copysign(1, result) == math.copysign(1, value)


@given(st.binary(max_size=200) | st.text("[]{}&*a:-!?<\"'|>#% \n\t0.~", max_size=60).map(str.encode))
def test_any_bytes_then_value_or_invalid(data: bytes) -> None:
    try:
        document = read_document(data, file="f.yaml")
    except Invalid as error:
        fault: Invalid | None = error
    else:
        fault = None
        json.dumps(document.value)
        document.locate(("a", 0))
    assert fault is None or fault.location is not None


def test_json_file_with_surrogate_pairs_then_joined_and_lone_one_refused() -> None:
    data = rb'{"a": "\ud83d\ude00 \\ud83d \/ \n"}'
    assert read_document(data, file="x.JSON").value == {"a": "\U0001f600 \\ud83d / \n"}
    with pytest.raises(Invalid, match="invalid Unicode character escape code"):
        read_document(rb'{"a": "\ud83d"}', file="x.json")


def test_items_then_have_value_line_index_and_places() -> None:
    found = items("source: somewhere\nmodels:\n  - name: a\n    n: 1\n  - name: b\n    tags: [x,\n      y]\n")
    assert [item.value for item in found] == [{"name": "a", "n": 1}, {"name": "b", "tags": ["x", "y"]}]
    assert [(item.index, item.line) for item in found] == [(0, 3), (1, 5)]
    assert found[1].locate(("tags", 1)) == Location("data.yaml", 7, 7)
    assert found[0].locate(("absent",)) == Location("data.yaml", 3, 5)


def test_items_when_list_is_null_or_empty_then_none() -> None:
    assert items("models:\n") == items("models: []") == items('{"models": []}') == []


def test_items_when_aliases_cross_items_then_shared() -> None:
    found = items("models: &all\n- &a {x: 1}\n- <<: *a\n  y: 2\n- *a\n")
    assert [item.value for item in found] == [{"x": 1}, {"x": 1, "y": 2}, {"x": 1}]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "source: x\n", "[]", "text", "{}", "- a: 1", "null"])
def test_items_when_key_is_absent_then_refused(text: str) -> None:
    assert '"models"' in item_fault(text).reason


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("modles: []", 'unknown key "modles": did you mean "models"?'),
        ("models: []\nzzz: 1", 'unknown key "zzz": known keys: models, source'),
        ("models: []\nmodels: []", "lines 1 and 2"),
        ("models: {a: 1}", "expected a list"),
        ("models: text", "expected a list"),
        ("source: [a]\nmodels: []", '"source" must be text'),
        ("models: []\n---\nmodels: []", "second document"),
        ("models:\n- {a: 1, a: 2}", "stands twice"),
        ("models:\n- a: [", "YAML parse error:"),
        ("1: x", "quote it"),
        ("[a]: x", "must be text"),
        ("models: !!map []", "tag"),
    ],
)
def test_items_when_file_is_wrong_then_says_what(text: str, part: str) -> None:
    error = item_fault(text)
    assert part in error.reason
    assert error.location is not None


def test_items_when_two_spellings_of_the_key_then_refused() -> None:
    error = item_fault("mcp_servers: []\nmcpservers: []", "mcpservers", "mcp_servers")
    assert error.location == Location("data.yaml", 2, 1)
    assert items("mcp_servers: [1]", "mcpservers", "mcp_servers")[0].value == 1


def test_items_when_fault_is_late_then_earlier_ones_come_first() -> None:
    stream = iter_items(b"models:\n- 1\n- 2\n- [\n", file="f", keys={"models"})
    assert [next(stream).value, next(stream).value] == [1, 2]
    with pytest.raises(Invalid, match="YAML parse error"):
        next(stream)


def test_items_when_one_is_huge_then_too_large() -> None:
    limits = Limits(max_item_events=10)
    with pytest.raises(TooLarge, match="more than 10 parts"):
        list(iter_items(b"models:\n- [" + b"x, " * 20 + b"]", file="f", keys={"models"}, limits=limits))
    assert len(list(iter_items(b"models:\n" + b"- [x]\n" * 20, file="f", keys={"models"}, limits=limits))) == 20


def test_items_when_file_is_too_large_then_refused_before_iteration() -> None:
    with pytest.raises(TooLarge):
        iter_items(b"models: []", file="f", keys={"models"}, limits=Limits(max_bytes=3))


def test_nearest_key_then_close_one_or_all() -> None:
    assert nearest_key("lables", ["labels", "name"]) == 'did you mean "labels"?'
    assert nearest_key("x", ["labels", "name"]) == "known keys: labels, name"
