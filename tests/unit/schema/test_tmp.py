"""Texts before and after a change of one value."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import read_document
from catalog_server.schema.yaml_rewriter import is_same, rewrite
from tests.unit.schema.test_yaml_writer import keys, values

TEXT = """\
# top

a: 1   # one
b:  'two'     # two
list:
- x   # first
# between

- y
map:
    k: 0x10
    # inside
    text: |
      line

    last: [1,  2]
"""
mappings = st.dictionaries(keys, values, min_size=1, max_size=4)


def read(text: str) -> Any:
    return read_document(text.encode(), file="x.yaml").value


def changed(text: str, **changes: Any) -> str:
    old = read(text)
    new = {**copy.deepcopy(old), **changes}
    new = {key: value for key, value in new.items() if value is not ...}
    result = rewrite(text, old, new)
    assert is_same(read(result), new)
    return result


def test_scalar_when_changed_then_rest_of_line_stays() -> None:
    assert changed(TEXT, a="x: y") == TEXT.replace("a: 1 ", 'a: "x: y" ')
    assert changed(TEXT, b=None) == TEXT.replace("'two'", "null")


def test_pair_when_removed_then_its_lines_go() -> None:
    assert changed(TEXT, a=...) == TEXT.replace("a: 1   # one\n", "")


def test_pair_when_added_then_at_the_end_in_the_indentation_of_the_file() -> None:
    assert changed(TEXT, new={"x": [{"z": 1}]}) == TEXT + "new:\n    x:\n    - z: 1\n"
    assert changed("a: 1", b=2) == "a: 1\nb: 2"
    assert changed("a: 1 # c\r\n", b=2) == "a: 1 # c\r\nb: 2\r\n"


def test_entry_when_added_and_removed_then_others_stay() -> None:
    assert changed(TEXT, list=["x", "y", "z"]) == TEXT.replace("- y\n", "- y\n- z\n")
    assert changed(TEXT, list=["y"]) == TEXT.replace("- x   # first\n", "")
    assert changed(TEXT, list=["w", "x", "y"]) == TEXT.replace("- x ", "- w\n- x ")
    assert changed(TEXT, list=["x", "q"]) == TEXT.replace("- y", "- q")
    assert "list: []\n" in changed(TEXT, list=[])


def test_entries_when_several_go_then_those_between_stay() -> None:
    text = "l:\n- a: 1  # a\n# of b\n- b:   2 # b\n- c\n# of d\n- 'd'   # d\n- e\nf: [1,  2, 3, 4,  5]\n"
    kept = changed(text, l=[{"b": 2}, "d"], f=[2, 3, 5])
    assert kept == "l:\n# of b\n- b:   2 # b\n# of d\n- 'd'   # d\nf: [2, 3,  5]\n"


def test_mapping_when_changed_inside_then_other_keys_stay() -> None:
    map_ = read(TEXT)["map"]
    assert changed(TEXT, map={**map_, "last": [1, 2, 3]}) == TEXT.replace("2]", "2, 3]")
    assert changed(TEXT, map={**map_, "text": "short"}) == TEXT.replace("|\n      line\n", "short\n")
    assert "k: 0x10" in changed(TEXT, map={"k": 16})


def test_value_when_it_becomes_a_collection_then_below_its_key() -> None:
    assert changed("a:\nb: 1\n", a={"x": 1}) == "a:\n  x: 1\nb: 1\n"
    assert changed("a: [] # c\nb: 1\n", a=[{"x": 1, "z": 2}]) == "a: # c\n  - x: 1\n    z: 2\nb: 1\n"
    assert changed("l:\n  - 1\n  - 2\n", l=[{"x": 1, "z": [2]}, 2]) == "l:\n  - x: 1\n    z: [2]\n  - 2\n"


def test_json_when_changed_then_still_json() -> None:
    text = '{\n  "a": 1,\n  "b": {"c": [1]},\n  "l": [\n    "x"\n  ]\n}\n'
    assert changed(text, a="x") == text.replace('"a": 1', '"a": "x"')
    assert changed(text, n={"no": "x"}) == text.replace("  ]\n}", '  ],\n  "n": {"no": "x"}\n}')
    assert changed(text, l=["x", "y"]) == text.replace('    "x"\n', '    "x",\n    "y"\n')
    assert changed(text, a=...) == text.replace('"a": 1,\n  ', "")
    assert changed(text, b={"c": [1], "d": True}) == text.replace("[1]}", '[1], "d": true}')


def test_flow_in_a_block_when_entries_go_then_those_only() -> None:
    text = "- - a: [1, 2,  3, 4] # c"
    old = {"l": read(text)}
    for kept in ([1], [4], [2, 3], [1, 4], [1, 3]):
        result = rewrite(f"l:\n{text}", old, {"l": [[{"a": kept, "b": 1}]]})
        assert read(result) == {"l": [[{"a": kept, "b": 1}]]}
        assert result.endswith(" # c\n    b: 1")


def test_merged_key_when_changed_then_overridden() -> None:
    text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  z: 3\n"
    assert changed(text, use={"x": 9, "y": 2, "z": 3}) == text + "  x: 9\n"
    assert changed(text, use={"x": 1, "z": 3}) == "base: &b {x: 1, y: 2}\nuse:\n  x: 1\n  z: 3\n"


def test_indentation_below_a_key_in_the_long_form_is_not_that_of_the_file() -> None:
    for odd in ("? k\n: x: 1\n", "?   k\n: x: 1\n", "?   k\n: - 1\n"):
        text = f"l:\n- {odd.rstrip().replace(chr(10), chr(10) + '  ')}\nb: 1\n"
        assert changed(text, b={"x": [{"z": 1, "a": 2}]}).endswith("b:\n  x:\n  - z: 1\n    a: 2\n")


def test_layout_that_cannot_be_changed_then_invalid() -> None:
    with pytest.raises(Invalid, match="too unusual"):
        rewrite("a: 1\n", {"a": 1}, {})


@settings(max_examples=15000, deadline=None, suppress_health_check=list(__import__("hypothesis").HealthCheck))
@given(mappings, mappings, st.booleans(), st.data())
def test_random_change_then_reads_as_intended(
    first: dict[str, Any], second: dict[str, Any], flow: bool, data: st.DataObject
) -> None:
    """Values of PyYAML's dumper, in its layout, changed to a mixture with other values."""
    text = yaml.safe_dump(first, default_flow_style=data.draw(st.sampled_from([flow, None])), allow_unicode=True)
    try:
        old = read(text)
    except Invalid:  # PyYAML leaves words unquoted that YAML 1.2 takes for numbers
        reject()
    kept = {key: value for key, value in old.items() if data.draw(st.booleans())}
    new = {"kept": 1, **kept, **second}
    if not set(old) & set(new):
        new[next(iter(old))] = 1
    try:
        result = rewrite(text, old, new)
    except Invalid:
        assert "? " in text, "only a key in the long form is too unusual"
    else:
        print(repr(text), repr(result), new)
        assert is_same(read(result), new)
