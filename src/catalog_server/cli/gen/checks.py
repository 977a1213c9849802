"""What `catalog-gen validate` checks: one list, for built-in plugins and for packages of others (spec 2.6, 10.4)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.registry import load_plugin
from catalog_server.cli.gen.manifest import FILE, Manifest, read_manifest
from catalog_server.errors import Invalid
from catalog_server.schema.entity import Entity

_LICENSES: Final = ("LICENSE", "LICENSE.md", "LICENSE.txt")


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check. `message` says what is wrong, and is empty where nothing is."""

    name: str
    message: str = ""

    @property
    def passed(self) -> bool:
        return not self.message


class PluginFolder:
    """The folder of a plugin: that with its plugin.yaml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        """Raises Invalid."""
        if self._manifest is None:
            self._manifest = read_manifest(self.folder / FILE)
        return self._manifest

    @property
    def project(self) -> Path:
        """The folder of the package that it is in: that with pyproject.toml, else its own."""
        for folder in (self.folder, *self.folder.parents):
            if (folder / "pyproject.toml").exists():
                return folder
        return self.folder

    def find_plugin(self) -> Plugin:
        """What is declared under this name. Raises Invalid: it is not installed, or cannot be imported."""
        return load_plugin(self.manifest.metadata.name)


Check = Callable[[PluginFolder], str]
"""Says what is wrong, or nothing. Raises Invalid to the same effect."""


def _fields(plugin: PluginFolder) -> str:
    return "" if plugin.manifest else "is empty"


def _declaration(plugin: PluginFolder) -> str:
    """The declaration and the manifest must not say different things."""
    declared, spec = plugin.find_plugin(), plugin.manifest.spec
    pairs = {
        "displayName": (spec.display_name, declared.display_name),
        "description": (spec.description, declared.description),
        "providers": (sorted(spec.providers), sorted(declared.source_types)),
    }
    wrong = [f"{name} is {mine!r}, declared {theirs!r}" for name, (mine, theirs) in pairs.items() if mine != theirs]
    return "; ".join(wrong)


def _hints(plugin: PluginFolder) -> str:
    """A list needs columns, and something to filter by, beyond the name that all entities have."""
    kind = plugin.find_plugin().kind
    marks = [field.mark for field in kind.fields if field.attributes[0] not in Entity.__struct_fields__]
    if not any(mark.width for mark in marks):
        return "no field is marked as a column (width=...)"
    return "" if any(mark.filter for mark in marks) else "no field is marked as a filter (filter=True)"


def _conformance(plugin: PluginFolder) -> str:
    tests = [path for path in (plugin.project / "tests").rglob("*conformance*.py") if _has_tests(path)]
    return "" if tests else f"no file tests/**/*conformance*.py with a test below {plugin.project}"


def _has_tests(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name.startswith("test") for node in ast.walk(tree))


def _documentation(plugin: PluginFolder) -> str:
    path = plugin.folder / "README.md"
    return "" if path.exists() and path.read_text(encoding="utf-8").strip() else f"{path} is missing or empty"


def _compatibility(plugin: PluginFolder) -> str:
    found = plugin.manifest.spec.compatibility.catalog_server.min_version
    return "" if found else "spec.compatibility.catalogServer.minVersion is missing"


def _ownership(plugin: PluginFolder) -> str:
    return "" if plugin.manifest.spec.owners else "spec.owners is empty"


def _license(plugin: PluginFolder) -> str:
    is_there = any((folder / name).exists() for folder in (plugin.folder, plugin.project) for name in _LICENSES)
    return "" if plugin.manifest.spec.license or is_there else "no spec.license and no LICENSE file"


BASELINE: Final[dict[str, Check]] = {
    "plugin.yaml": _fields,
    "declaration": _declaration,
    "ui hints": _hints,
    "conformance tests": _conformance,
    "documentation": _documentation,
}
GOVERNANCE: Final[dict[str, Check]] = {
    "compatibility": _compatibility,
    "ownership": _ownership,
    "license": _license,
}


def validate(folder: Path, *, governance: bool) -> Iterator[Finding]:
    """Run all checks, each whatever became of the others."""
    plugin = PluginFolder(folder)
    for name, check in {**BASELINE, **(GOVERNANCE if governance else {})}.items():
        try:
            yield Finding(name, check(plugin))
        except (Invalid, SyntaxError) as error:
            yield Finding(name, error.message if isinstance(error, Invalid) else str(error))
