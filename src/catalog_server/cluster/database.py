"""A lease as a row of the database that the replicas share, where there is no Kubernetes."""

from __future__ import annotations

from catalog_server.cluster import sql
from catalog_server.cluster.lease import LeaseState
from catalog_server.db.engine import Engine, reading, writing
from catalog_server.errors import Conflict


class DatabaseLease:
    """Whoever reaches the database takes part; who does not has nothing to write to either."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def read(self) -> LeaseState | None:
        with reading(self._engine) as connection:
            return sql.read_lease(connection, self._name)

    def write(self, holder: str, term: int, duration_seconds: int, *, over: LeaseState | None) -> LeaseState:
        version = 1 if over is None else int(over.version) + 1
        state = LeaseState(holder=holder, term=term, duration_seconds=duration_seconds, version=str(version))
        with writing(self._engine) as connection:
            if not sql.write_lease(connection, self._name, state, over=over):
                raise Conflict(f"lease {self._name!r} was changed by another replica")
        return state
