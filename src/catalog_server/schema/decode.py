"""Raw map from a file -> checked entity -> finished JSON documents. Strict: unknown keys and wrong types are errors.

Every error names the field by its JSON path, and an unknown key names the nearest valid one. Pure: the caller adds file
and line.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from catalog_server.errors import Invalid
from catalog_server.schema.fields import SchemaField
from catalog_server.schema.kind import Kind
from catalog_server.schema.metadata import tag_properties
from catalog_server.schema.structs import convert

Times = tuple[int | None, int | None]
"""Creation and last update as the file gives them, ms since the epoch; None where it is silent."""


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """One child, ready to store. `document` lacks id and times."""

    kind: str
    name: str
    document: bytes
    times: Times


@dataclass(frozen=True, slots=True)
class Record:
    """One entity, ready to store. `document` lacks id and times; `content_hash` covers all, children included."""

    name: str
    document: bytes
    times: Times
    content_hash: str
    children: tuple[ChildRecord, ...]
    warnings: tuple[tuple[str, str], ...]


def decode_entity(kind: Kind, raw: Any, source_id: str) -> Record:
    """Check `raw` against `kind` and encode it.

    Raises:
        Invalid: `field` is the JSON path of what is wrong.
    """
    if not isinstance(raw, dict):
        raise Invalid("expected a map of fields to values")
    entity = convert(_prepare(kind, raw), kind.entity, lambda key, parent: _nearest(key, parent, kind))
    if kind.enrich is not None:
        entity = kind.enrich(entity)
    _check_name(kind, entity.name)
    warnings = [*_check_options(kind, entity), *(kind.warn(entity) if kind.warn else [])]
    children = tuple(_children(kind, entity))
    document, times = _document(kind, entity, source_id)
    digest = hashlib.sha256(b"%s%r" % (document, times))
    for child in children:
        digest.update(b"\0%s%r" % (child.document, child.times))
    return Record(entity.name, document, times, digest.hexdigest(), children, tuple(warnings))


def _prepare(kind: Kind, raw: dict[str, Any]) -> dict[str, Any]:
    # An empty value ("description:") means that the field is not given.
    given = {key: value for key, value in raw.items() if value is not None}
    if kind.custom_properties == "tagged" and "customProperties" in given:
        given["customProperties"] = tag_properties(given["customProperties"])
    return kind.prepare(given) if kind.prepare is not None else given


def _nearest(key: str, parent: str, kind: Kind) -> str | None:
    """The declared key beside which `key` was probably meant."""
    depth = len(parent.split(".")) if parent else 0
    prefix = f"{parent}." if parent else ""
    siblings = [f.attributes[depth] for f in kind.fields if f.path.startswith(prefix) and len(f.attributes) > depth]
    found = difflib.get_close_matches(key, siblings, n=1)
    return found[0] if found else None


def _check_name(kind: Kind, name: str) -> None:
    if name != name.strip() or any(ord(ch) < 0x20 or 0x7F <= ord(ch) < 0xA0 for ch in name):
        raise Invalid("must not begin or end with blanks nor hold control characters", field="name")
    if "/" in name and not kind.slashes_in_names:
        raise Invalid(f"must not contain '/': a {kind.noun} is addressed by one path segment", field="name")


def _encode(fields: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError as error:
        raise Invalid("holds a lone surrogate, which is not valid text") from error


def _check_options(kind: Kind, entity: Any) -> list[tuple[str, str]]:
    """Values outside a select field's options: an error, or a warning where the field's mark says so."""
    warnings: list[tuple[str, str]] = []
    for one in kind.fields:
        if not one.mark.options or one.mark.others == "accepted":
            continue
        for value in _values(entity, one):
            if value in one.mark.options:
                continue
            message = f"{value!r} is none of {', '.join(one.mark.options)}"
            if one.mark.others == "error":
                raise Invalid(message, field=one.path)
            warnings.append((one.path, message))
    return warnings


def _values(entity: Any, one: SchemaField) -> list[str]:
    found = [msgspec.to_builtins(entity)]
    for key in one.attributes:
        found = [inner for value in found if isinstance(value, dict) for inner in _as_list(value.get(key))]
    return [value for value in found if isinstance(value, str)]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _children(kind: Kind, entity: Any) -> list[ChildRecord]:
    records = []
    for child in kind.children:
        attribute = child.collection
        for number, one in enumerate(getattr(entity, attribute), start=1):
            fields = msgspec.to_builtins(one)
            name = fields.get("name") or f"{fields.get('artifactType', child.name)}-{number}"
            times = _take_times(fields)
            records.append(ChildRecord(child.name, name, _encode({**fields, "name": name}), times))
    return records


def _document(kind: Kind, entity: Any, source_id: str) -> tuple[bytes, Times]:
    fields = msgspec.to_builtins(entity)
    for child in kind.children:
        if not child.inline:
            fields.pop(child.collection, None)
    times = _take_times(fields)
    return _encode({**fields, kind.source_field: source_id}), times


def _take_times(fields: dict[str, Any]) -> Times:
    created, updated = (fields.pop(key, None) for key in ("createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"))
    return int(created) if created else None, int(updated) if updated else None
