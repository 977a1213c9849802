"""Decisions of the cluster, kept for a short time, so that a read costs a look-up and not a question.

For: asking each question once at a time, in threads of its own, and failing closed. Not for: what is asked
(reviews.py), nor for who must be asked at all (authorizers.py).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

import structlog

from catalog_server.access.reviews import Question
from catalog_server.errors import CatalogError, Unavailable
from catalog_server.telemetry.measurements import Tally

TTL_SECONDS: Final = 10.0
"""How long allow and deny are believed; Kubernetes' own delegating authorizers take the same."""
TIMEOUT_SECONDS: Final = 3.0
"""How long a caller waits for the cluster, queue included."""
MAX_ENTRIES: Final = 10_000
"""About 5 MiB. Whoever names ever new namespaces pushes out what was not used for the longest time."""
THREADS: Final = 8

Reviewer = Callable[[Question, float], bool]
"""Asks a question, with the seconds that are left for it. Raises CatalogError when there is no answer."""
Answer = bool | Future[bool]
"""A decision, or where it will be; the future then raises Undecided when there is none."""


class Undecided(Unavailable):
    """Nobody can tell whether the caller may do this. The reason is in the log only: it speaks of our cluster."""

    def __init__(self) -> None:
        super().__init__("authorization check failed")


log = structlog.get_logger(__name__)


class Decisions:
    """Answers by question. Thread-safe. `close` it at the end.

    Errors are not kept: the next caller asks anew. Time is counted from the moment of asking, so no decision is used
    that was taken more than `ttl_seconds` ago.
    """

    def __init__(
        self,
        review: Reviewer,
        *,
        ttl_seconds: float = TTL_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_entries: int = MAX_ENTRIES,
        asked: Tally | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`asked` counts reviews by (result)."""
        self._asked_total = asked or Tally()
        self._review = review
        self._ttl_seconds = ttl_seconds
        self._timeout_seconds = timeout_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[Question, tuple[float, bool]] = OrderedDict()
        self._asked: dict[Question, Future[bool]] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="review")

    def get(self, question: Question) -> Answer:
        """The kept decision; else the future of the one review of this question, which begins unless it is on its way.

        The future belongs to all who ask the same: it must not be canceled.
        """
        with self._lock:
            found = self._known.get(question)
            now = self._clock()
            if found is not None and found[0] > now:
                self._known.move_to_end(question)
                return found[1]
            flight = self._asked.get(question)
            if flight is None:
                work = copy_context()  # with the trace of the request that asks first
                flight = self._pool.submit(work.run, self._ask, question, now + self._timeout_seconds)
                self._asked[question] = flight
            return flight

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, question: Question, deadline: float) -> bool:
        try:
            asked_at = self._clock()
            if asked_at >= deadline:  # it waited for a thread too long: nobody waits for it any more
                raise Unavailable("no thread was free in time")
            allowed = self._review(question, deadline - asked_at)
            self._keep(question, asked_at + self._ttl_seconds, allowed)
            self._asked_total.add("allowed" if allowed else "denied")
            return allowed
        except CatalogError as error:
            self._asked_total.add("error")
            # Whatever the reason, also a 403 of the API about ourselves: for the caller it is no decision.
            log.warning("authorization check failed", reason=error.message, permission=str(question.permission))
            raise Undecided from error
        finally:
            with self._lock:
                del self._asked[question]

    def _keep(self, question: Question, until: float, allowed: bool) -> None:
        with self._lock:
            self._known[question] = (until, allowed)
            self._known.move_to_end(question)
            while len(self._known) > self._max_entries:
                self._known.popitem(last=False)
