"""Waiting for the authorizer on the event loop."""

from __future__ import annotations

import asyncio
from typing import Final

from catalog_server.access.decisions import TIMEOUT_SECONDS, Answer
from catalog_server.errors import Unavailable

_PATIENCE_SECONDS: Final = TIMEOUT_SECONDS + 0.5
"""A review ends by itself in time; only the look-up of a host name is out of its hands."""


async def decision(answer: Answer) -> bool:
    """Wait for a decision. Raises Unavailable when there is none in time."""
    if isinstance(answer, bool):
        return answer
    try:
        # Shielded: others wait for the same review, and this request may be canceled.
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(answer)), _PATIENCE_SECONDS)
    except TimeoutError as error:
        raise Unavailable("authorization check failed") from error
