"""Versions: what an asset was at a moment, kept for good under a label (spec platform.md 9.4, 9.7).

A version holds the governance record and the entity as the catalog had it, with a digest and where it came from. An
asset that no catalog has at the moment can have versions, too; they hold no entity.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any, Final

from catalog_server.audit.trail import Trail
from catalog_server.clock import clock_ms
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.db.paging import could_be_id
from catalog_server.db.transactions import write
from catalog_server.errors import Invalid
from catalog_server.governance import events, sql
from catalog_server.governance.asset import AssetRef, name_pattern
from catalog_server.governance.events import Caller, Told, event_of
from catalog_server.governance.record import sections_of
from catalog_server.governance.records import Records
from catalog_server.governance.version import Snapshot, Version, VersionCursor, VersionPage
from catalog_server.scope import Scope

CREATE: Final = "version.create"
MAX_LABEL: Final = 128
LABEL: Final = name_pattern()
_LABEL: Final = re.compile(LABEL)


Look = Callable[[Scope, AssetRef], Snapshot | None]
"""The entity of an asset as the catalog has it now; None: it has none."""


def read_label(value: Any, field: str) -> str:
    """Raises Invalid when it is no label: free text as of a name (asset.py)."""
    if not isinstance(value, str) or not value:
        raise Invalid("required: what the version is called", field=field)
    if len(value) > MAX_LABEL or _LABEL.fullmatch(value) is None:
        rule = f"must have at most {MAX_LABEL} characters, no control characters, and no blanks around it"
        raise Invalid(rule, field=field)
    return value


class Versions:
    """The versions of all assets. Raises Unavailable when the database is down, and then nothing changed."""

    def __init__(
        self, engine: Engine, records: Records, trail: Trail, look: Look, *, clock: Callable[[], int] = clock_ms
    ) -> None:
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self._records = records
        self._trail = trail
        self._look = look
        self._clock = clock

    def list_versions(
        self, scope: Scope, asset: AssetRef, *, page_size: int, after: VersionCursor | None = None
    ) -> VersionPage:
        """One page of an asset's versions, newest first."""
        if after is not None and not could_be_id(after.id):
            return VersionPage((), None, 0)
        with reading(self._engine) as connection:
            found = sql.list_versions(connection, scope, asset, after=after, limit=page_size + 1)
            total = sql.count_versions(connection, scope, asset)
        versions = found[:page_size]
        is_last = len(found) <= page_size
        following = None if is_last else VersionCursor(versions[-1].created_at, versions[-1].id)
        return VersionPage(versions, following, total)

    def create(
        self, scope: Scope, asset: AssetRef, label: str, reason: str | None, caller: Caller, status: int
    ) -> Version:
        """Keep the asset as it is now. `status`: what the request is answered with."""
        snapshot = self._look(scope, asset)

        def change(connection: Connection) -> Version:
            record = self._records.lock(connection, scope, asset, caller.user)
            version = Version(
                id=str(uuid.uuid4()),
                version_id=f"{label}:{secrets.token_hex(4)}",
                label=label,
                created_at=self._clock(),
                created_by=caller.user,
                content_digest=None if snapshot is None else digest_of(snapshot.document),
                provenance=None if snapshot is None else snapshot.provenance,
            )
            kept = b"{}" if snapshot is None else snapshot.document
            governance = {**sections_of(record), "lifecycle": {"state": record["lifecycle_state"]}}
            sql.insert_version(connection, scope, asset, version, governance, kept)
            about = {"versionId": version.version_id, "versionLabel": label}
            told = Told(type=events.VERSION_CREATED, action=CREATE, reason=reason, metadata=about)
            self._trail.add(connection, event_of(scope, asset, caller, told))
            caller.record(connection, status)
            return version

        return write(self._writing_engine, change)


def digest_of(document: bytes) -> str:
    return f"sha256:{hashlib.sha256(document).hexdigest()}"
