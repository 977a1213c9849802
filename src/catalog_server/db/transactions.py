"""Transactions that are done again when the database gave them up in favour of another one."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from catalog_server.db.dialects import lost_race
from catalog_server.db.engine import Connection, Engine, writing
from catalog_server.errors import Unavailable

ATTEMPTS: Final = 8
_WAIT_SECONDS: Final = 0.002

T = TypeVar("T")


def write(engine: Engine, work: Callable[[Connection], T], *, chance: Callable[[], float] = random.random) -> T:
    """Do `work` in a transaction for writes, again if the database sacrificed it to another one.

    Raises:
        Unavailable: the database cannot be reached, or `work` lost every time.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with writing(engine) as connection:
                return work(connection)
        except Unavailable as error:
            if attempt == ATTEMPTS or not lost_race(error.__cause__):
                raise
        # Whoever lost to each other and came back at the same time would only lose again.
        threading.Event().wait(_WAIT_SECONDS * 2**attempt * chance())
    raise AssertionError("unreachable")
