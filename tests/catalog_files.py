"""Writes sources files and catalog files for tests that run a whole server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Entities = Sequence[Mapping[str, Any]]


def write_sources(file: Path, sections: Mapping[str, Sequence[Mapping[str, Any]]], **extra: Mapping[str, Any]) -> Path:
    """A sources file: section -> its sources. `extra` gives more keys of a section (labels, namedQueries)."""
    catalogs: dict[str, dict[str, Any]] = {
        name: {"sources": [_source(one) for one in sources]} for name, sources in sections.items()
    }
    for name, keys in extra.items():
        catalogs.setdefault(name, {}).update(keys)
    file.parent.mkdir(parents=True, exist_ok=True)
    header = {"apiVersion": "catalog/v1alpha1", "kind": "CatalogSources"}
    file.write_text(yaml.safe_dump({**header, "catalogs": catalogs}, sort_keys=False))
    return file


def _source(given: Mapping[str, Any]) -> dict[str, Any]:
    """Short form: `id` and `path` are enough."""
    source = {"name": given["id"], "type": "yaml", **given}
    path = source.pop("path", None)
    return source if path is None else {**source, "properties": {"yamlCatalogPath": str(path)}}


def catalog_text(key: str, entities: Entities) -> str:
    return yaml.safe_dump({key: [dict(one) for one in entities]}, sort_keys=False)


def write_catalog(file: Path, key: str, entities: Entities) -> Path:
    """A catalog file with these entities under its top key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(catalog_text(key, entities))
    return file


def write_many(file: Path, key: str, count: int) -> Path:
    """A large catalog file, written without YAML's own slow writer."""
    file.write_text(f"{key}:\n" + "".join(f"- {{name: entity-{n}, version: 1.0.{n}}}\n" for n in range(count)))
    return file


def named(*names: str, **fields: Any) -> list[dict[str, Any]]:
    """Entities of these names."""
    return [{"name": name, **fields} for name in names]
