"""Versions and bounds of versions."""

from __future__ import annotations

import re

import pytest

from catalog_server.cli.gen.versions import BOUND, highest, lowest, raised, replace_project_version
from catalog_server.errors import Invalid


@pytest.mark.parametrize("bound", ["1", "1.2", "1.2.3", "v1.2.3", "1.x", "1.2.x", "0.10.0"])
def test_bound_when_written_like_this_then_is_one(bound: str) -> None:
    assert re.search(BOUND, bound)


@pytest.mark.parametrize("bound", ["", "x", "1.x.3", "1.x.x", "1.2.3.4", "1.2.3-rc1", "1.", ">=1"])
def test_bound_when_written_otherwise_then_is_none(bound: str) -> None:
    assert re.search(BOUND, bound) is None


@pytest.mark.parametrize(
    ("bound", "version", "is_within"),
    [
        ("1.x", "1.0.0", True),
        ("1.x", "1.99.3", True),
        ("1.x", "2.0.0", False),
        ("1.x", "0.9.9", False),
        ("1.2.x", "1.2.7", True),
        ("1.2", "1.3.0", False),
        ("1.2.3", "1.2.3", True),
        ("v1.2.3", "1.2.4", False),
        ("0.9.0", "0.10.0", False),
    ],
)
def test_version_when_compared_then_is_within_the_bound_or_not(bound: str, version: str, is_within: bool) -> None:
    assert (lowest(bound) <= lowest(version) <= highest(bound)) is is_within


@pytest.mark.parametrize(
    ("version", "part", "new"),
    [("0.9.9", "patch", "0.9.10"), ("0.9.9", "minor", "0.10.0"), ("v0.9.9", "major", "v1.0.0")],
)
def test_version_when_raised_then_what_is_behind_the_part_is_zero(version: str, part: str, new: str) -> None:
    assert raised(version, part) == new  # type: ignore[arg-type]


PROJECT = """\
[tool.other]
version = "1.0.0"

[project]
name = "x" # version = "1.0.0"
version    = '1.0.0'  # raised by hand

[tool.more]
version = "1.0.0"
"""


def test_package_version_when_replaced_then_nothing_else_is() -> None:
    assert replace_project_version(PROJECT, "1.1.0") == PROJECT.replace("'1.0.0'", "'1.1.0'")


@pytest.mark.parametrize("text", ['project = {name = "x", version = "1.0.0"}\n', '[project]\n"version" = "1.0.0"\n'])
def test_package_version_when_written_in_another_way_then_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"project\.version"):
        replace_project_version(text, "1.1.0")
