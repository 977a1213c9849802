"""A version of an asset as a value: what clients see of it, and where its entity came from. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from catalog_server.clock import format_ms


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an entity came from: the type and id of its source, the file or URL, and the commit where there is one."""

    source_type: str
    source_id: str
    source_uri: str
    revision_id: str | None
    observed_at: int
    """When the version was made of it. Milliseconds since the epoch."""

    @property
    def document(self) -> dict[str, Any]:
        found = {
            "sourceType": self.source_type,
            "sourceUri": self.source_uri,
            "sourceId": self.source_id,
            "revisionId": self.revision_id,
            "observedAt": format_ms(self.observed_at),
        }
        return {name: value for name, value in found.items() if value}


class Snapshot(NamedTuple):
    """An entity as a catalog has it: its JSON, and where that came from."""

    document: bytes
    provenance: Provenance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """`created_at` is milliseconds since the epoch."""

    id: str
    version_id: str
    label: str
    created_at: int
    created_by: str
    content_digest: str | None
    provenance: Provenance | None

    @property
    def document(self) -> dict[str, Any]:
        found = {
            "versionId": self.version_id,
            "versionLabel": self.label,
            "createdAt": format_ms(self.created_at),
            "createdBy": self.created_by,
            "contentDigest": self.content_digest,
            "provenance": None if self.provenance is None else self.provenance.document,
        }
        return {name: value for name, value in found.items() if value}


class VersionCursor(NamedTuple):
    """The last version that a page showed."""

    created_at: int
    id: str


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Some versions, newest first. `next` is None on the last page; `total_size` counts all pages."""

    versions: tuple[Version, ...]
    next: VersionCursor | None
    total_size: int
