"""Bindings: which version of an asset an environment uses, and how versions are promoted (spec platform.md 9.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from catalog_server.audit.trail import Trail
from catalog_server.clock import clock_ms
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading
from catalog_server.db.transactions import write
from catalog_server.errors import Conflict, Invalid, NotFound
from catalog_server.governance import events, sql
from catalog_server.governance.asset import AssetRef
from catalog_server.governance.binding import Binding, Bound, Move
from catalog_server.governance.events import Caller, Told, event_of
from catalog_server.governance.lifecycle import State
from catalog_server.governance.records import Records
from catalog_server.scope import Scope

BIND: Final = "promotion.bind"
PROMOTE: Final = "promotion.promote"
ROLLBACK: Final = "promotion.rollback"
DEPRECATED: Final = "the asset is deprecated"


class Bindings:
    """The bindings of all assets. Raises Unavailable when the database is down, and then nothing changed."""

    def __init__(
        self,
        engine: Engine,
        records: Records,
        trail: Trail,
        environments: Sequence[str],
        *,
        clock: Callable[[], int] = clock_ms,
    ) -> None:
        """`environments`: the first is for trying out, all others are protected."""
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self._records = records
        self._trail = trail
        self.environments = tuple(environments)
        self._clock = clock

    def list_bindings(self, scope: Scope, asset: AssetRef) -> tuple[Binding, ...]:
        """In the order of the names of environments."""
        with reading(self._engine) as connection:
            return sql.list_bindings(connection, scope, asset)

    def preview(self, scope: Scope, asset: AssetRef, move: Move, user: str) -> Bound:
        """What the move would come to. Nothing is written. Raises as `move`."""
        state = self._records.read(scope, asset, user)["lifecycle_state"]
        with reading(self._engine) as connection:
            return self._plan(connection, scope, asset, move, state, user)

    def move(self, scope: Scope, asset: AssetRef, move: Move, caller: Caller) -> Bound:
        """Let an environment use another version.

        Raises:
            Invalid: there is no such environment, or the lifecycle forbids it.
            NotFound: no such version of this asset, or no binding to take one from.
            Conflict: a rollback of an environment that has no version.
        """

        def change(connection: Connection) -> Bound:
            record = self._records.lock(connection, scope, asset, caller.user)
            planned = self._plan(connection, scope, asset, move, record["lifecycle_state"], caller.user)
            before, binding = planned.binding.previous_version_id, planned.binding
            caller.record(connection, 200)
            if before == binding.version_id:
                return planned
            sql.write_binding(connection, scope, asset, binding)
            place = {"environment": move.environment}
            told = Told(
                type=_EVENTS[move.action],
                action=move.action,
                old={**place, "versionId": before} if before else None,
                new={**place, "versionId": binding.version_id},
                metadata={"fromEnvironment": move.from_environment} if move.from_environment else {},
            )
            self._trail.add(connection, event_of(scope, asset, caller, told))
            return planned

        return write(self._writing_engine, change)

    def _plan(
        self, connection: Connection, scope: Scope, asset: AssetRef, move: Move, state: State, user: str
    ) -> Bound:
        self._check_environment(move.environment, "environment" if move.from_environment is None else "toEnv")
        version_id = move.version_id
        if move.from_environment is not None:
            self._check_environment(move.from_environment, "fromEnv")
            if move.from_environment == move.environment:
                raise Invalid("fromEnv and toEnv must be different", field="toEnv")
            source = sql.read_binding(connection, scope, asset, move.from_environment)
            if source is None:
                raise NotFound(f"no binding found in {move.from_environment}")
            version_id = source.version_id
        assert version_id is not None
        if not sql.has_version(connection, scope, asset, version_id):
            raise NotFound(f'version "{version_id[:200]}" of this asset not found')
        held = sql.read_binding(connection, scope, asset, move.environment)
        if move.action == ROLLBACK and held is None:
            raise Conflict(f"no binding found in {move.environment}: there is nothing to roll back")
        binding = Binding(
            environment=move.environment,
            version_id=version_id,
            bound_at=self._clock(),
            bound_by=user,
            previous_version_id=None if held is None else held.version_id,
        )
        return Bound(binding, self._check_state(state, move.environment))

    def _check_environment(self, name: str, field: str) -> None:
        if name not in self.environments:
            raise Invalid(f"{name[:80]!r} is no environment; known: {', '.join(self.environments)}", field=field)

    def _check_state(self, state: State, environment: str) -> Sequence[str]:
        """Warnings. Raises Invalid where the lifecycle forbids it."""
        protected = self.environments[1:]
        if state == "archived":
            raise Invalid("archived assets cannot be bound", field="environment")
        if state == "draft" and environment in protected:
            raise Invalid(f"draft assets cannot be bound to {'/'.join(protected)}", field="environment")
        return (DEPRECATED,) if state == "deprecated" else ()


_EVENTS: Final = {BIND: events.BOUND, PROMOTE: events.PROMOTED, ROLLBACK: events.ROLLED_BACK}
