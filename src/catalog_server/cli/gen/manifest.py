"""plugin.yaml: what a plugin says of itself to people and tools; the declaration in Python is what the server goes by.

Read strictly: an unknown key and a wrong value are errors with file, line and column (spec cli-and-ui.md 2.8, 2.11).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_reader import Document, nearest_key, read_document

FILE: Final = "plugin.yaml"
API_VERSION: Final = "catalog.kubeflow.org/v1alpha1"
FRAMEWORK_API: Final = "v1alpha1"
_STRICT: Final = r"^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
_BOUND: Final = r"^v?[0-9]+(\.([0-9]+|x)){0,2}$"
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `(?P<path>[^`]*)`)?")
_PLACED: Final = re.compile(r"(?P<reason>.*) - at `(?P<path>[^`]*)`", re.DOTALL)

Text = Annotated[str, Meta(min_length=1)]
Version = Annotated[str, Meta(pattern=_STRICT, description="x.y.z, no pre-release")]
Bound = Annotated[str, Meta(pattern=_BOUND, description="x.y.z, or with x as a wildcard")]


class Owner(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Who answers for the plugin."""

    team: Text
    contact: str = ""


class ServerVersions(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Servers that it works with."""

    min_version: Bound = ""
    max_version: Bound = ""


class Compatibility(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What it works with."""

    framework_api: Text
    catalog_server: ServerVersions = ServerVersions()


class Metadata(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What it is called."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]


class Spec(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """All else."""

    display_name: Text
    description: Text
    version: Version
    owners: Annotated[list[Owner], Meta(min_length=1)]
    compatibility: Compatibility
    providers: Annotated[list[Text], Meta(min_length=1, description="source types")]
    license: str = ""
    repository: str = ""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The whole file."""

    api_version: Literal["catalog.kubeflow.org/v1alpha1"]
    kind: Literal["CatalogPlugin"]
    metadata: Metadata
    spec: Spec


def read_manifest(path: Path) -> Manifest:
    """The manifest in this file.

    Raises:
        Invalid: it cannot be read, or breaks a rule; the message names file, line and field.
    """
    document = open_document(path)
    try:
        manifest = msgspec.convert(document.value, Manifest)
    except msgspec.ValidationError as error:
        raise _located(str(error), document, path) from error
    _check_versions(manifest, document, path)
    return manifest


def open_document(path: Path) -> Document:
    """The YAML of a file. Raises Invalid."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return read_document(data, file=str(path))
    except Invalid as error:
        raise Invalid(f"{error.location}: {error.message}" if error.location else error.message) from error


def schema() -> dict[str, Any]:
    """The JSON Schema of plugin.yaml."""
    (found,), definitions = msgspec.json.schema_components([Manifest], ref_template="#/$defs/{name}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE}
    return {**head, **found, "$defs": definitions}


def parts_of(version: str) -> tuple[int, ...] | None:
    """The numbers of a strict version; None: it has a wildcard, or is shorter."""
    found = re.match(_STRICT, version)
    return None if found is None else tuple(map(int, found.groups()))


def _check_versions(manifest: Manifest, document: Document, path: Path) -> None:
    servers = manifest.spec.compatibility.catalog_server
    least, most = parts_of(servers.min_version), parts_of(servers.max_version)
    if least is not None and most is not None and least > most:
        place = ("spec", "compatibility", "catalogServer", "maxVersion")
        raise _fault("is below minVersion", place, document, path)


def _located(problem: str, document: Document, path: Path) -> Invalid:
    unknown = _UNKNOWN.fullmatch(problem)
    if unknown is not None:
        steps = _steps(unknown["path"] or "$")
        key = unknown["key"]
        near = nearest_key(key, _keys_at(steps))
        return _fault(f'unknown key "{key}": {near}', (*steps, key), document, path)
    placed = _PLACED.fullmatch(problem)
    if placed is None:
        return _fault(problem, (), document, path)
    return _fault(placed["reason"], _steps(placed["path"]), document, path)


def _fault(problem: str, place: Sequence[str | int], document: Document, path: Path) -> Invalid:
    location = document.locate(place) if document.value is not None else f"{path}:1:1"
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")
    return Invalid(f"{location}: {field or 'the file'}: {problem}")


def _steps(path: str) -> tuple[str | int, ...]:
    """`$.spec.owners[0].team` as steps."""
    found = re.findall(r"\.([^.\[\]]+)|\[([0-9]+)\]", path)
    return tuple(name or int(index) for name, index in found)


def _keys_at(steps: Sequence[str | int]) -> list[str]:
    """The keys that are known there."""
    here: Any = Manifest
    for step in steps:
        if isinstance(step, int):
            here = Owner  # the only list of mappings
        else:
            here = next(one.type for one in msgspec.structs.fields(here) if one.encode_name == step)
    return [one.encode_name for one in msgspec.structs.fields(here)] if isinstance(here, type) else ["team", "contact"]
