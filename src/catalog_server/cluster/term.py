"""The right to do what only one replica may do, from the taking of a lease to its loss. It is a fence for writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog_server.cluster import sql
from catalog_server.db.dialects import end_idle_transactions
from catalog_server.db.engine import Connection, Engine, reading, writing
from catalog_server.errors import Fenced


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Terms of the same name are numbered, and the database knows the newest one."""

    name: str
    number: int
    holder: str
    is_over: Callable[[], bool]
    """Whether another replica may lead by now, as far as our own clock tells."""
    idle_seconds: int
    """A transaction whose process falls asleep in it for that long must not keep the next leader waiting."""

    def begin(self, engine: Engine) -> None:
        """Shut out all older terms. Waits for what they are just writing. Raises Fenced or Unavailable."""
        with writing(engine) as connection:
            if self.is_over() or not sql.begin_term(connection, self.name, self.number, self.holder):
                raise self._lost()

    def check(self, connection: Connection) -> None:
        """Keep this term the newest one until the transaction ends. Raises Fenced."""
        end_idle_transactions(connection, self.idle_seconds)
        if self.is_over() or not sql.keep_term(connection, self.name, self.number, self.holder):
            raise self._lost()

    def _lost(self) -> Fenced:
        return Fenced(f"term {self.number} of {self.name!r} is over: another replica leads, or may")


def newest_term(engine: Engine, name: str) -> int:
    """The number of the newest term that ever began; 0 before the first. Raises Unavailable."""
    with reading(engine) as connection:
        return sql.read_term(connection, name)
