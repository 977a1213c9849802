"""Raises the version of a plugin, in place: comments and layout of the files stay, and both change or none."""

from __future__ import annotations

import codecs
from pathlib import Path

from catalog_server.cli.gen.manifest import FILE, read_manifest
from catalog_server.cli.gen.versions import Part, raised, read_project, replace_project_version
from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import read_document
from catalog_server.schema.yaml_tree import read_tree
from catalog_server.sources.stores.replacing import replace_file


def bump(folder: Path, part: Part) -> tuple[str, str]:
    """Raise spec.version of plugin.yaml, and the version of pyproject.toml where that says one; return old and new.

    Raises:
        Invalid: the manifest breaks a rule, the two files do not agree, or a version does not stand there in a form
            that can be replaced. Nothing is changed then.
    """
    path, project = folder / FILE, folder / "pyproject.toml"
    old = read_manifest(path).spec.version
    new = raised(old, part)
    changed = {path: _with_version(path.read_bytes(), old, new)}
    packaged = read_project(project).get("version")
    if packaged is not None:
        if packaged != old.removeprefix("v"):
            raise Invalid(f"{FILE} says {old}, pyproject.toml {packaged}: which one is to be raised?")
        text = project.read_bytes().decode()
        changed[project] = replace_project_version(text, new.removeprefix("v")).encode()
    for target, data in changed.items():
        replace_file(target, data, like=target.stat())
    return old, new


def _with_version(data: bytes, old: str, new: str) -> bytes:
    """The same file with another version where the old one stands: in its quotes, before its comment."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = data.removeprefix(mark).decode()
    node = read_tree(text)
    for key in ("spec", "version"):
        node = next((entry.value for entry in node.entries if entry.key == key), node)
    shown = text[node.start : node.end]
    changed = mark + f"{text[: node.start]}{shown.replace(old, new)}{text[node.end :]}".encode()
    value = read_document(data, file=FILE).value
    if read_document(changed, file=FILE).value != {**value, "spec": {**value["spec"], "version": new}}:
        raise Invalid(f"{FILE}: spec.version does not stand there in a form that can be replaced")
    return changed
