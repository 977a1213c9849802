"""Versions are raised in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog_server.cli.gen.bump import bump
from catalog_server.cli.gen.versions import Part
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


def test_the_package_follows(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "x"  # mine\nversion = "1.2.3" # as in plugin.yaml\n')
    bump(tmp_path, "patch")
    assert project.read_text() == '[project]\nname = "x"  # mine\nversion = "1.2.4" # as in plugin.yaml\n'


def test_a_version_that_is_none_changes_nothing(tmp_path: Path) -> None:
    text = GOOD.replace("1.2.3", "1.2")
    path = write(tmp_path, text)
    with pytest.raises(Invalid, match=r"spec\.version"):
        bump(tmp_path, "patch")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("version: 1.2.3", "version: 1.2.3 # after 1.2.3").replace(
            "minVersion: 0.9.0", "minVersion: 1.2.3"
        ),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "# für 漢字 𝄞\n" + GOOD,
    ],
    ids=["version in the comment and next door", "CRLF", "byte order mark", "characters of several bytes"],
)
def test_version_when_raised_then_all_other_bytes_stay(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plugin.yaml"
    path.write_bytes(text.encode())
    bump(tmp_path, "minor")
    assert path.read_bytes() == text.replace("version: 1.2.3", "version: 1.3.0", 1).encode()


def test_package_when_of_another_version_then_nothing_changes(tmp_path: Path) -> None:
    path, project = write(tmp_path, GOOD), tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "x"\nversion = "7.0.0"\n')
    with pytest.raises(Invalid, match=r"plugin.yaml says 1.2.3, pyproject.toml 7.0.0"):
        bump(tmp_path, "patch")
    assert (path.read_text(), project.read_text()) == (GOOD, '[project]\nname = "x"\nversion = "7.0.0"\n')


def test_package_when_its_version_cannot_be_replaced_then_nothing_changes(tmp_path: Path) -> None:
    path, project = write(tmp_path, GOOD), tmp_path / "pyproject.toml"
    project.write_text('project = {name = "x", version = "1.2.3"}\n')
    with pytest.raises(Invalid, match=r"project\.version"):
        bump(tmp_path, "patch")
    assert path.read_text() == GOOD


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("version: 1.2.3", "version: &it 1.2.3").replace("minVersion: 0.9.0", "minVersion: *it"),
        GOOD.replace("version: 1.2.3", 'version: "1.2.\\x33"'),
    ],
    ids=["shared by an alias", "written with an escape"],
)
def test_version_when_it_cannot_be_replaced_alone_then_nothing_changes(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(Invalid, match="in a form that can be replaced"):
        bump(tmp_path, "minor")
    assert path.read_text() == text
