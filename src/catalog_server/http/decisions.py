"""Waiting for the authorizer on the event loop."""

from __future__ import annotations

import asyncio
from typing import Final

from catalog_server.access.decisions import TIMEOUT_SECONDS, Answer, Undecided

_PATIENCE_SECONDS: Final = TIMEOUT_SECONDS + 0.5
"""A review ends by itself in time; only the look-up of a host name is out of its hands."""


async def decision(answer: Answer) -> bool:
    """Wait for a decision. Raises Undecided when there is none in time."""
    if isinstance(answer, bool):
        return answer
    # Others wait for the same review. Waiting in this way cancels nothing, neither after the time nor with the request.
    waiter = asyncio.wrap_future(answer)
    waiter.add_done_callback(_hear)
    done, _ = await asyncio.wait((waiter,), timeout=_PATIENCE_SECONDS)
    if not done:
        raise Undecided
    return waiter.result()


def _hear(waiter: asyncio.Future[bool]) -> None:
    """An error that comes when nobody waits any more is no error of the server."""
    if not waiter.cancelled():
        waiter.exception()
