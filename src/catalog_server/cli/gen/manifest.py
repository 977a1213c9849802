"""plugin.yaml: what a plugin says of itself to people and tools; the declaration in Python is what the server goes by.

Read strictly: an unknown key and a wrong value are faults with file, line and column, and all of them are found at once
(spec cli-and-ui.md 2.8, 2.11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, inspect

from catalog_server.cli.gen.versions import BOUND, STRICT, highest, lowest
from catalog_server.errors import Invalid, Location
from catalog_server.schema.yaml_places import PathStep
from catalog_server.schema.yaml_reader import Document, nearest_key, read_document

FILE: Final = "plugin.yaml"
API_VERSION: Final = "catalog.kubeflow.org/v1alpha1"

Text = Annotated[str, Meta(min_length=1)]


class Owner(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A team that answers for the plugin."""

    team: Annotated[str, Meta(min_length=1, description="name of the team")]
    contact: Annotated[str, Meta(description="how to reach it: an address, a channel")] = ""


class ServerVersions(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Versions of catalog-server that the plugin works with."""

    min_version: Annotated[str, Meta(pattern=BOUND, description="the first one: x.y.z, or 1.x for all of 1")] = ""
    max_version: Annotated[str, Meta(pattern=BOUND, description="the last one: x.y.z, or 1.x for all of 1")] = ""


class Compatibility(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What the plugin works with."""

    framework_api: Annotated[str, Meta(min_length=1, description="version of the plugin API: v1alpha1")]
    catalog_server: ServerVersions = ServerVersions()


class Metadata(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What the plugin is called."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,40}$", description="a lower-case word, as in the declaration")]


class Spec(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """All else."""

    display_name: Annotated[str, Meta(min_length=1, description="name for people, as in the declaration")]
    description: Annotated[str, Meta(min_length=1, description="one sentence, as in the declaration")]
    version: Annotated[str, Meta(pattern=STRICT, description="x.y.z without pre-release, as in pyproject.toml")]
    owners: Annotated[list[Owner], Meta(min_length=1, description="teams that answer for it")]
    compatibility: Compatibility
    providers: Annotated[list[Text], Meta(min_length=1, description="types of its sources, as in the declaration")]
    license: Annotated[str, Meta(description="SPDX expression, such as Apache-2.0")] = ""
    repository: Annotated[str, Meta(description="where its source code is")] = ""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The whole file."""

    api_version: Literal["catalog.kubeflow.org/v1alpha1"]
    kind: Literal["CatalogPlugin"]
    metadata: Metadata
    spec: Spec


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a file. `field` is a dotted path, empty for the whole file."""

    message: str
    location: Location
    field: str = ""

    def __str__(self) -> str:
        return f"{self.location}: {self.field}: {self.message}" if self.field else f"{self.location}: {self.message}"


def read_manifest(path: Path) -> Manifest:
    """The manifest in this file.

    Raises:
        Invalid: it cannot be read, or breaks a rule; the message names file, line and field.
    """
    document = open_document(path)
    fault = next(faults_of(document), None)
    if fault is not None:
        raise Invalid(str(fault))
    return msgspec.convert(document.value, Manifest)


def open_document(path: Path) -> Document:
    """The YAML of a file. Raises Invalid."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}") from error
    return read_document(data, file=str(path))


def schema() -> dict[str, Any]:
    """The JSON Schema of plugin.yaml."""
    (found,), definitions = msgspec.json.schema_components([Manifest], ref_template="#/$defs/{name}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE}
    return {**head, **found, "$defs": definitions}


def faults_of(document: Document) -> Iterator[Fault]:
    """All that is wrong with a plugin.yaml."""
    found = [*_mismatches(document.value, inspect.type_info(Manifest), ())]
    yield from (fault_at(document, path, message) for path, message in found)
    servers = value_at(document.value, ("spec", "compatibility", "catalogServer"))
    if not found and servers and _is_crossed(servers):
        yield fault_at(document, ("spec", "compatibility", "catalogServer", "maxVersion"), "is below minVersion")


def fault_at(document: Document, path: Sequence[PathStep], message: str) -> Fault:
    """A fault in this document; a part that is missing is placed where it should be."""
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return Fault(message, document.locate(path), field)


def value_at(value: Any, path: Sequence[str]) -> Any:
    """The value under this path; None: there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_crossed(servers: Mapping[str, str]) -> bool:
    least, most = servers.get("minVersion"), servers.get("maxVersion")
    return bool(least and most) and lowest(str(least)) > highest(str(most))


Mismatch = tuple[tuple[PathStep, ...], str]


def _mismatches(
    value: Any, expected: inspect.Type, path: tuple[PathStep, ...], meaning: str = ""
) -> Iterator[Mismatch]:
    match expected:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            yield from _mismatches(value, inner, path, (extra or {}).get("description", ""))
        case inspect.StructType(fields=fields):
            if isinstance(value, dict):
                yield from _in_mapping(value, {one.encode_name: one for one in fields}, path)
            else:
                yield path, f"must be a mapping with the keys {', '.join(one.encode_name for one in fields)}"
        case inspect.ListType(item_type=inner):
            if not isinstance(value, list) or not value:
                yield path, "must be a list with at least one entry"
            else:
                for index, entry in enumerate(value):
                    yield from _mismatches(entry, inner, (*path, index))
        case _:
            if (message := _text_mismatch(value, expected, meaning)) is not None:
                yield path, message


def _in_mapping(
    value: dict[str, Any], known: Mapping[str, inspect.Field], path: tuple[PathStep, ...]
) -> Iterator[Mismatch]:
    for key, inner in value.items():
        if key in known:
            yield from _mismatches(inner, known[key].type, (*path, key))
        else:
            yield (*path, key), f'unknown key "{key}": {nearest_key(key, known)}'
    yield from (((*path, key), "is missing") for key, one in known.items() if one.required and key not in value)


def _text_mismatch(value: Any, expected: inspect.Type, meaning: str) -> str | None:
    if value is None or value == "":
        return "must not be empty"
    if isinstance(expected, inspect.LiteralType):
        return None if value in expected.values else f"must be {expected.values[0]}, not {value!r}"
    if not isinstance(value, str):
        return f"must be text, not {value!r}; put it in quotes"
    pattern = expected.pattern if isinstance(expected, inspect.StrType) else None
    return None if pattern is None or re.search(pattern, value) else f"{value!r} is not {meaning}"
