"""Raises the version of a plugin, in place: comments and layout of the files stay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from catalog_server.cli.gen.manifest import FILE, open_document, parts_of, read_manifest
from catalog_server.errors import Invalid

Part = Literal["major", "minor", "patch"]
PARTS: Final[tuple[Part, ...]] = ("major", "minor", "patch")


def bump(folder: Path, part: Part) -> tuple[str, str]:
    """Raise spec.version of plugin.yaml, and the version of pyproject.toml where it is the same; return old and new.

    Raises:
        Invalid: the manifest breaks a rule, or the version does not stand there in a form that can be replaced.
    """
    path = folder / FILE
    old = read_manifest(path).spec.version
    new = _raised(old, part)
    line = open_document(path).locate(("spec", "version")).line
    text = path.read_text(encoding="utf-8")
    changed = _replace_in_line(text, line, old, new)
    project = folder / "pyproject.toml"
    project_text = project.read_text(encoding="utf-8") if project.exists() else ""
    project_changed = re.sub(rf'(?m)^version = "{re.escape(old)}"$', f'version = "{new}"', project_text, count=1)
    path.write_text(changed, encoding="utf-8")
    if project_changed != project_text:
        project.write_text(project_changed, encoding="utf-8")
    return old, new


def _raised(version: str, part: Part) -> str:
    numbers = parts_of(version)
    assert numbers is not None  # the manifest was read
    which = PARTS.index(part)
    raised = [*numbers[:which], numbers[which] + 1, *([0] * (2 - which))]
    return ("v" if version.startswith("v") else "") + ".".join(map(str, raised))


def _replace_in_line(text: str, line: int, old: str, new: str) -> str:
    lines = text.splitlines(keepends=True)
    for number in (line - 1, line):  # the place of a value is that of its key, or its own
        if number < len(lines) and lines[number].count(old) == 1:
            lines[number] = lines[number].replace(old, new)
            return "".join(lines)
    raise Invalid(f"{FILE}:{line}: spec.version: {old} does not stand in its line in a form that can be replaced")
