"""Versions are raised in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_server.cli.gen.versions import Part, bump
from catalog_server.errors import Invalid
from tests.unit.cli.gen.test_manifest import GOOD, write

COMMENTED = GOOD.replace("version: 1.2.3", "version: '1.2.3'   # raised by hand until now")


@pytest.mark.parametrize(("part", "new"), [("major", "2.0.0"), ("minor", "1.3.0"), ("patch", "1.2.4")])
def test_comments_and_layout_stay(tmp_path: Path, part: Part, new: str) -> None:
    path = write(tmp_path, COMMENTED)
    assert bump(tmp_path, part) == ("1.2.3", new)
    assert path.read_text() == COMMENTED.replace("1.2.3", new)


def test_a_leading_v_stays(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("version: 1.2.3", "version: v1.2.3"))
    assert bump(tmp_path, "patch") == ("v1.2.3", "v1.2.4")
    assert "version: v1.2.4\n" in path.read_text()


@pytest.mark.parametrize(("given", "expected"), [("1.2.3", "1.2.4"), ("7.0.0", "7.0.0")])
def test_the_package_follows_where_its_version_was_the_same(tmp_path: Path, given: str, expected: str) -> None:
    write(tmp_path, GOOD)
    project = tmp_path / "pyproject.toml"
    project.write_text(f'[project]\nname = "x"  # mine\nversion = "{given}"\n')
    bump(tmp_path, "patch")
    assert project.read_text() == f'[project]\nname = "x"  # mine\nversion = "{expected}"\n'


def test_a_version_that_is_none_changes_nothing(tmp_path: Path) -> None:
    text = GOOD.replace("1.2.3", "1.2")
    path = write(tmp_path, text)
    with pytest.raises(Invalid, match=r"spec\.version"):
        bump(tmp_path, "patch")
    assert path.read_text() == text
