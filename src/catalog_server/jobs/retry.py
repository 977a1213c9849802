"""Which failures are worth another attempt, and when that one is due. Pure: chance is passed in."""

from __future__ import annotations

from collections.abc import Callable

from catalog_server.errors import CatalogError, RateLimited, Unavailable

MAX_DELAY_MS = 5 * 60 * 1000
_FACTOR = 2


def is_transient(error: Exception) -> bool:
    """Whether the same refresh may succeed later without anybody changing anything.

    Our own kinds say so. Any other exception is an accident; attempts are few, so it gets the benefit of the doubt.
    """
    return isinstance(error, Unavailable | RateLimited) or not isinstance(error, CatalogError)


def delay_ms(attempt: int, base_ms: int, random: Callable[[], float]) -> int:
    """The pause after attempt number `attempt` (from 1). `random` gives numbers in [0, 1).

    Full jitter: many jobs that failed together, because one host was down, must not come back together.
    """
    doublings = min(max(attempt, 1) - 1, 32)  # beyond that the cap holds anyway, and the power would only grow
    return int(random() * min(base_ms * _FACTOR**doublings, MAX_DELAY_MS))


def delay_after(error: Exception, attempt: int, base_ms: int, random: Callable[[], float]) -> int:
    """The pause (ms) after a transient error: never shorter than what the other side has asked for.

    A source that is down can ask for no more than the cap; only an explicit limit of rate is heeded beyond it.
    """
    asked = 0
    if isinstance(error, RateLimited):
        asked = error.retry_after_seconds * 1000
    elif isinstance(error, Unavailable) and error.is_asked:
        asked = min(error.retry_after_seconds * 1000, MAX_DELAY_MS)
    return max(asked, delay_ms(attempt, base_ms, random))


def describe_failure(error: Exception) -> str:
    """What a client may read of an error. An accident's words may hold paths and secrets: they belong in the log."""
    return error.message if isinstance(error, CatalogError) else f"internal error ({type(error).__name__})"
