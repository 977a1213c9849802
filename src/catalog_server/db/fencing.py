"""Keeps whoever does not lead any more from writing (seed, Leader Election).

For: the work that only the leader does. Inside `fenced`, each transaction of `writing` first looks, in itself, whether
the term under which it works is still the newest one, and keeps it so until it ends. A process that was paused past its
lease is stopped by that, wherever it was paused. Not for: requests, which any replica may serve and write for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from sqlalchemy import Connection


class Fence(Protocol):
    """The right to write, which can be lost."""

    @property
    def number(self) -> int:
        """Counts up with each one who gets the right."""

    def check(self, connection: Connection) -> None:
        """Keep the right until the transaction ends. Raises Fenced where it is lost."""


_current: ContextVar[Fence | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(fence: Fence | None) -> Iterator[None]:
    """Put all write transactions of this thread behind the fence; None: there is none. Other threads are not inside."""
    token = _current.set(fence)
    try:
        yield
    finally:
        _current.reset(token)


def check_fence(connection: Connection) -> None:
    """Raises Fenced in a transaction of somebody who may not write any more."""
    fence = _current.get()
    if fence is not None:
        fence.check(connection)
