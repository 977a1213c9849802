"""What `catalog-gen validate` checks: one list, for built-in plugins and for packages of others (spec 2.6, 10.4).

Each check is made, whatever came of the others, on what can be read of the files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog_server import __version__
from catalog_server.catalog.plugin import API_VERSION
from catalog_server.cli.gen.folder import PluginFolder
from catalog_server.cli.gen.manifest import FILE, Fault, faults_of, value_at
from catalog_server.cli.gen.versions import BOUND, highest, lowest
from catalog_server.errors import Invalid, Location
from catalog_server.schema.entity import Entity

_LICENSES: Final = ("LICENSE", "LICENSE.md", "LICENSE.txt")
_SERVERS: Final = ("spec", "compatibility", "catalogServer")


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check: what is wrong, nothing where it has passed."""

    name: str
    faults: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.faults

    @property
    def message(self) -> str:
        return "; ".join(map(str, self.faults))


Check = Callable[[PluginFolder], Iterator[Fault]]
"""Yields what is wrong. Raises Invalid where it cannot go on."""


def _file(plugin: PluginFolder) -> Iterator[Fault]:
    """It is there, and is YAML."""
    yield from () if plugin.document.value is not None else [plugin.fault_at((), "is empty")]


def _fields(plugin: PluginFolder) -> Iterator[Fault]:
    """Its keys and values are those that it may have."""
    yield from faults_of(plugin.document)


def _declaration(plugin: PluginFolder) -> Iterator[Fault]:
    """The declaration can be imported and lives with the other plugins; manifest and package say what it says."""
    declared = plugin.declared
    pairs = {"displayName": declared.display_name, "description": declared.description}
    for key, value in pairs.items():
        if plugin.spec.get(key, value) != value:
            yield plugin.fault_at(("spec", key), f"is {plugin.spec[key]!r}, and {value!r} in the declaration")
    types = sorted(declared.source_types)
    if sorted(map(str, plugin.list_of("providers"))) != types:
        yield plugin.fault_at(("spec", "providers"), f"must be those of the declaration: {', '.join(types)}")
    packaged = plugin.package.get("version")
    if packaged is not None and packaged != str(plugin.spec.get("version")).removeprefix("v"):
        yield plugin.fault_at(("spec", "version"), f"must be that of pyproject.toml, {packaged}")


def _hints(plugin: PluginFolder) -> Iterator[Fault]:
    """A list needs columns, and something to filter by, beyond the name that all entities have."""
    kind = plugin.declared.kind
    marks = [field.mark for field in kind.fields if field.attributes[0] not in Entity.__struct_fields__]
    if not any(mark.width for mark in marks):
        yield plugin.fault_at((), "no field of the declaration is marked as a column (width=...)")
    if not any(mark.filter for mark in marks):
        yield plugin.fault_at((), "no field of the declaration is marked as a filter (filter=True)")


def _conformance(plugin: PluginFolder) -> Iterator[Fault]:
    """The package holds tests of its conformance."""
    folder = plugin.project / "tests"
    if not any(_has_tests(path) for path in folder.rglob("*conformance*.py")):
        yield Fault("holds no file *conformance*.py with a test", Location(str(folder), 1))


def _has_tests(path: Path) -> bool:
    tree = ast.parse(path.read_bytes(), str(path))
    return any(isinstance(node, ast.FunctionDef) and node.name.startswith("test") for node in ast.walk(tree))


def _documentation(plugin: PluginFolder) -> Iterator[Fault]:
    """README.md stands beside plugin.yaml."""
    path = plugin.folder / "README.md"
    if not path.exists() or not path.read_text(encoding="utf-8").strip():
        yield Fault("is missing or empty", Location(str(path), 1))


def _compatibility(plugin: PluginFolder) -> Iterator[Fault]:
    """It says with which servers it works, and this is one of them: tests on another one would show nothing."""
    servers = value_at(plugin.document.value, _SERVERS)
    least, most = _bound(servers, "minVersion"), _bound(servers, "maxVersion")
    if not least:
        yield plugin.fault_at((*_SERVERS, "minVersion"), "is missing")
    elif lowest(least) > lowest(__version__):
        yield plugin.fault_at((*_SERVERS, "minVersion"), f"is {least}; this is {__version__}")
    if most and highest(most) < lowest(__version__):
        yield plugin.fault_at((*_SERVERS, "maxVersion"), f"is {most}; this is {__version__}")
    api = value_at(plugin.document.value, ("spec", "compatibility", "frameworkApi"))
    if api != API_VERSION:
        yield plugin.fault_at(("spec", "compatibility", "frameworkApi"), f"must be {API_VERSION}, not {api!r}")


def _bound(servers: Any, key: str) -> str:
    found = value_at(servers, (key,))
    return found if isinstance(found, str) and re.search(BOUND, found) else ""


def _ownership(plugin: PluginFolder) -> Iterator[Fault]:
    """Somebody answers for it."""
    owners = plugin.list_of("owners")
    if not owners or not all(value_at(owner, ("team",)) for owner in owners):
        yield plugin.fault_at(("spec", "owners"), "must name at least one owner, each with a team")


def _license(plugin: PluginFolder) -> Iterator[Fault]:
    """What others may do with it is said in plugin.yaml, or in a LICENSE file."""
    is_there = any((folder / name).exists() for folder in (plugin.folder, plugin.project) for name in _LICENSES)
    if not plugin.spec.get("license") and not is_there:
        yield plugin.fault_at(("spec", "license"), f"is missing, and there is no {' or '.join(_LICENSES)}")


BASELINE: Final[dict[str, Check]] = {
    "plugin.yaml": _file,
    "plugin.yaml fields": _fields,
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
            yield Finding(name, tuple(check(plugin)))
        except (Invalid, OSError, SyntaxError, ValueError) as error:
            yield Finding(name, (_stopped(error, plugin.folder),))


def _stopped(error: Exception, folder: Path) -> Fault:
    """What kept a check from being made: a file that cannot be read, or is not what its name says."""
    if isinstance(error, Invalid):
        return Fault(error.reason, error.location or Location(str(folder / FILE), 1))
    if isinstance(error, OSError):
        return Fault(f"cannot be read: {error.strerror}", Location(str(error.filename), 1))
    if isinstance(error, SyntaxError):
        return Fault(error.msg, Location(str(error.filename), error.lineno or 1, error.offset))
    return Fault(f"a file of it cannot be read: {error}", Location(str(folder), 1))
