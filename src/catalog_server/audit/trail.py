"""Writes audit events so that none is lost, finds them again, and forgets them when their time is over.

An event goes into the transaction of its change where there is one (`add`), else into the database before the answer
(`write`), and while that is down into the spool, from where `drain` brings it. What the spool does not take goes to the
log. A change that no transaction covers is announced to the spool first, so that it is told of though the process dies.
Not for: what an event says; http/auditing.py and bootstrap/auditing.py make them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import msgspec
import structlog

from catalog_server.audit import sql
from catalog_server.audit.event import MANAGEMENT, Cursor, Event, EventFilter, EventPage, event_document
from catalog_server.audit.spool import Kept, Spool
from catalog_server.clock import clock_ms
from catalog_server.db.dialects import read_committed
from catalog_server.db.engine import Connection, Engine, reading, writing
from catalog_server.db.paging import could_be_id
from catalog_server.errors import NotFound, Unavailable
from catalog_server.scope import Scope
from catalog_server.settings import Audit

ENDED_EARLY = "the server ended before it answered: the change may be in force or not"
_CHUNK = 500
_DRAIN_CHUNK = 100
_DAY_MS = 24 * 60 * 60 * 1000

log = structlog.get_logger(__name__)


class Trail:
    """All that can be done with audit events. Where they are off, nothing is written; what is there can be read."""

    def __init__(self, engine: Engine, spool: Spool, settings: Audit, *, clock: Callable[[], int] = clock_ms) -> None:
        self._engine = engine
        self._writing_engine = read_committed(engine)
        self._spool = spool
        self._is_enabled = settings.enabled
        self._logs_denied = settings.log_denied
        self._retention_ms = settings.retention_days * _DAY_MS
        self._clock = clock
        self._draining = threading.Lock()

    # --- writing ---

    def wants(self, event: Event) -> bool:
        """Whether events of this kind are recorded at all. That a reviewer denies an approval is no denied request."""
        is_denial = event.outcome == "denied" and event.event_type == MANAGEMENT
        return self._is_enabled and (self._logs_denied or not is_denial)

    def add(self, connection: Connection, event: Event) -> None:
        """Record an event in the transaction of its change."""
        if self.wants(event):
            sql.write_event(connection, event)

    def write(self, event: Event) -> None:
        """Record an event, or what came of it after all. Durable on return; never raises. May wait for a database."""
        if not self.wants(event):
            return
        try:
            with writing(self._writing_engine) as connection:
                sql.write_event(connection, event)
        except Unavailable as error:
            log.warning("audit event not in the database yet", reason=error.message, audit_event=event.id)
            self.keep(event)

    def keep(self, event: Event) -> None:
        """Record an event without waiting for the database. Durable on return; never raises."""
        if not self.wants(event):
            return
        try:
            self._spool.put(event.id, _encode(event))
        except OSError as error:
            log.error("audit event lost", reason=str(error), audit_event=event_document(event))

    def announce(self, event: Event) -> None:
        """Say that a change is about to be made which no transaction covers; `withdraw` when it is recorded."""
        if not self._is_enabled:
            return
        foreseen = replace(event, outcome="failure", status_code=None, reason=ENDED_EARLY)
        try:
            self._spool.announce(event.id, _encode(foreseen))
        except OSError as error:
            log.error("audit event not announced", reason=str(error), audit_event=event_document(foreseen))

    def withdraw(self, event_id: str) -> None:
        self._spool.withdraw(event_id)

    # --- in the background ---

    @property
    def waiting(self) -> int:
        """Events that are safe on disk, and not in the database yet."""
        return self._spool.count()

    def drain(self) -> int:
        """Bring what the spool keeps into the database; return how much. Raises Unavailable."""
        done = 0
        with self._draining:
            kept = self._spool.kept()
            while chunk := list(islice(kept, _DRAIN_CHUNK)):
                with writing(self._writing_engine) as connection:
                    for one in chunk:
                        self._restore(connection, one)
                for one in chunk:
                    self._spool.remove(one.path)
                done += len(chunk)
        return done

    def _restore(self, connection: Connection, kept: Kept) -> None:
        try:
            event = msgspec.json.decode(kept.data, type=Event)
        except msgspec.MsgspecError as error:
            log.error("audit event cannot be read, set aside", file=kept.path.name, reason=str(error))
            self._spool.set_aside(kept.path)
            return
        (sql.write_event if kept.is_final else sql.write_missing)(connection, event)

    def prune(self) -> int:
        """Forget events that are older than the retention; return how many. Raises Unavailable."""
        before, removed = self._clock() - self._retention_ms, 0
        while True:
            with writing(self._writing_engine) as connection:
                count = sql.delete_before(connection, before, _CHUNK)
            removed += count
            if count < _CHUNK:
                return removed

    # --- reading: within one scope ---

    def get(self, scope: Scope, event_id: str) -> Event:
        """Raises NotFound, also for an event of another namespace, or Unavailable."""
        if could_be_id(event_id):
            with reading(self._engine) as connection:
                event = sql.read_event(connection, scope, event_id)
            if event is not None:
                return event
        raise NotFound(f'audit event "{event_id[:80]}" not found')

    def list_events(
        self,
        scope: Scope,
        wanted: EventFilter,
        *,
        page_size: int,
        after: Cursor | None = None,
        is_counted: bool = False,
    ) -> EventPage:
        """One page, newest first; if wished with the size of all pages, of the same moment. Raises Unavailable."""
        if not _is_possible(wanted) or (after is not None and not could_be_id(after.event_id)):
            return EventPage((), None, 0)
        with reading(self._engine) as connection:
            found = sql.list_events(connection, scope, wanted, after=after, limit=page_size + 1)
            total = sql.count_events(connection, scope, wanted) if is_counted else None
        events = found[:page_size]
        is_last = len(found) <= page_size
        return EventPage(events, None if is_last else Cursor(events[-1].created_at, events[-1].id), total)


def _encode(event: Event) -> bytes:
    """As JSON. What cannot be said in UTF-8 is replaced, as the database would have it."""
    return json.dumps(msgspec.to_builtins(event), ensure_ascii=False).encode("utf-8", "replace")


def _is_word(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_possible(wanted: EventFilter) -> bool:
    words = (wanted.plugin, wanted.action, wanted.event_type, wanted.outcome, wanted.correlation_id)
    return all(_is_word(word) for word in words if word is not None) and (wanted.actor or "").isprintable()
