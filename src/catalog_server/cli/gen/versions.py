"""Versions of plugins and of the servers that they work with; raising one in place."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from catalog_server.errors import Invalid

STRICT: Final = r"^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
BOUND: Final = r"^v?[0-9]+(\.[0-9]+)?(\.[0-9]+|\.x)?$"
"""A version, or a prefix of versions: `1.x` and `1` are all of 1."""

Part = Literal["major", "minor", "patch"]
PARTS: Final[tuple[Part, ...]] = ("major", "minor", "patch")
_NUMBERS: Final = 3
# Of the table [project]: what is before the version, and the version. Another table ends it.
_PROJECT_VERSION: Final = re.compile(r"""(?ms)(^\[project\][^\n]*\n(?:(?!\[)[^\n]*\n)*?version\s*=\s*["'])([^"'\n]*)""")


def lowest(bound: str) -> tuple[float, ...]:
    """The first version within a bound."""
    return _filled(bound, 0)


def highest(bound: str) -> tuple[float, ...]:
    """What no version within a bound is above."""
    return _filled(bound, math.inf)


def raised(version: str, part: Part) -> str:
    """The next version. A leading `v` stays."""
    numbers = [int(number) for number in version.removeprefix("v").split(".")]
    which = PARTS.index(part)
    following = [*numbers[:which], numbers[which] + 1, *([0] * (_NUMBERS - 1 - which))]
    return ("v" if version.startswith("v") else "") + ".".join(map(str, following))


def read_project(path: Path) -> dict[str, Any]:
    """The table [project] of a pyproject.toml, empty where there is none. Raises Invalid."""
    try:
        project = tomllib.loads(path.read_bytes().decode()).get("project", {}) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise Invalid(f"{path}: cannot be read: {error}") from error
    return project if isinstance(project, dict) else {}


def replace_project_version(text: str, new: str) -> str:
    """The text of a pyproject.toml with another version, and nothing else changed. Raises Invalid."""
    changed = _PROJECT_VERSION.sub(lambda found: found[1] + new, text, count=1)
    if tomllib.loads(changed)["project"]["version"] != new:
        raise Invalid("pyproject.toml: project.version does not stand there in a form that can be replaced")
    return changed


def _filled(bound: str, filler: float) -> tuple[float, ...]:
    given = [float(number) for number in bound.removeprefix("v").split(".") if number != "x"]
    return (*given, *([filler] * (_NUMBERS - len(given))))
