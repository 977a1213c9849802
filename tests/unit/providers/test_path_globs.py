"""Globs over paths: the table of spec plugins.md 3.3, and an oracle."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.providers.path_globs import parse_path_globs


def is_match(glob: str, path: str) -> bool:
    return parse_path_globs([glob], "properties.path").match(path)


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("**/*.yaml", "a.yaml", True),
        ("**/*.yaml", "x/y/a.yaml", True),
        ("**/*.yaml", "x/a.yml", False),
        ("**/*.yaml", "x/a.yaml/b", False),
        ("data/**/*.yaml", "data/a.yaml", True),
        ("data/**/*.yaml", "data/x/y/a.yaml", True),
        ("data/**/*.yaml", "x/data/a.yaml", False),
        ("data/*.yaml", "data/a.yaml", True),
        ("data/*.yaml", "data/x/a.yaml", False),
        ("data/*.yaml", "a.yaml", False),
        ("*.yaml", "a.yaml", True),
        ("*.yaml", "x/a.yaml", False),
        ("*.yaml", "a.yaml.bak", False),
        ("?.yaml", "a.yaml", True),
        ("?.yaml", "ab.yaml", False),
        ("a?b", "a/b", False),
        ("**", "x/y", True),
        ("data/**", "data/x/y", True),
        ("data/**", "data", False),
        ("a/**/b/**/c", "a/b/x/b/c", True),
        ("a/**/b/**/c", "a/x/c", False),
        ("a**b", "axxb", True),
        ("a**b", "a/b", False),
        ("A.yaml", "a.yaml", False),
        ("[ab].yaml", "a.yaml", False),
        ("[ab].yaml", "[ab].yaml", True),
        ("agents/a.yaml", "agents/a.yaml", True),
        ("*", ".hidden", True),
    ],
)
def test_glob_then_matches_as_documented(glob: str, path: str, expected: bool) -> None:
    assert is_match(glob, path) is expected


def test_several_globs_then_one_is_enough() -> None:
    globs = parse_path_globs(["a/*.yaml", "b.json"], "f")
    assert [globs.match(path) for path in ("a/x.yaml", "b.json", "c.json")] == [True, True, False]


@pytest.mark.parametrize("glob", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\nb", "x" * 1025])
def test_useless_glob_then_refused(glob: str) -> None:
    with pytest.raises(Invalid) as caught:
        is_match(glob, "a")
    assert (caught.value.field, caught.value.code) == ("properties.path", "glob_invalid")


@pytest.mark.parametrize("count", [0, 101])
def test_number_of_globs_when_out_of_bounds_then_refused(count: int) -> None:
    with pytest.raises(Invalid, match="one to 100"):
        parse_path_globs(["a"] * count, "properties.path")


def test_hostile_glob_then_ends() -> None:
    """Backtracking would take longer than a test may."""
    assert not is_match("*a" * 100 + "b", "a" * 1000)
    assert not is_match("**/a/" * 100 + "b", "a/" * 500 + "c")


def oracle(glob: str, path: str) -> bool:
    pattern = "/".join("\0" if part == "**" else re.escape(part) for part in glob.split("/"))
    pattern = pattern.replace(re.escape("*"), "[^/]*").replace(re.escape("?"), "[^/]")
    pattern = re.sub(r"\0$", "(?:[^/]+/)*[^/]+", pattern).replace("\0/", "(?:[^/]+/)*")
    return re.fullmatch(pattern, path) is not None


SEGMENTS = st.text("ab", min_size=1, max_size=3)
GLOB_SEGMENTS = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=4).filter(lambda one: "**" not in one))


@given(st.lists(GLOB_SEGMENTS, min_size=1, max_size=5), st.lists(SEGMENTS, min_size=1, max_size=6))
def test_any_glob_then_agrees_with_a_regular_expression(glob: list[str], path: list[str]) -> None:
    assert is_match("/".join(glob), "/".join(path)) is oracle("/".join(glob), "/".join(path))
