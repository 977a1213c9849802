from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from catalog_server.jobs.retry import MAX_DELAY_MS, delay_after, delay_ms, describe_failure, is_transient


@pytest.mark.parametrize("error", [Unavailable("x"), RateLimited("x", retry_after_seconds=1), OSError(), ValueError()])
def test_what_may_pass_by_itself_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("kind", [Invalid, TooLarge, NotFound, Conflict, Forbidden, Unauthenticated])
def test_what_somebody_must_change_is_permanent(kind: type[Exception]) -> None:
    assert not is_transient(kind("x"))


def test_the_longest_pause_doubles_up_to_the_cap() -> None:
    longest = [delay_ms(attempt, 5_000, lambda: 1.0) for attempt in range(1, 10)]

    assert longest == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]


@given(
    attempt=st.integers(0, 10**9),
    base=st.integers(0, 10**8),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_pause_is_never_negative_nor_beyond_the_cap(attempt: int, base: int, chance: float) -> None:
    assert 0 <= delay_ms(attempt, base, lambda: chance) <= MAX_DELAY_MS


def test_jitter_is_full() -> None:
    chances = iter([0.0, 0.25, 0.5])

    assert [delay_ms(2, 5_000, lambda: next(chances)) for _ in range(3)] == [0, 2_500, 5_000]


def test_a_host_that_asks_for_a_pause_gets_it() -> None:
    asks = RateLimited("slow down", retry_after_seconds=7)

    assert delay_after(asks, 1, 5_000, lambda: 0.0) == 7_000
    assert delay_after(asks, 3, 5_000, lambda: 0.5) == 10_000
    assert delay_after(Unavailable("down"), 1, 5_000, lambda: 0.0) == 0


def test_a_host_that_is_down_gets_the_pause_that_it_asks_for_but_not_the_one_that_we_guess() -> None:
    """503 with Retry-After counts as much as 429 does."""
    asks = Unavailable("down", retry_after_seconds=60, is_asked=True)

    assert delay_after(asks, 1, 5_000, lambda: 0.0) == 60_000
    assert delay_after(Unavailable("down", retry_after_seconds=60), 1, 5_000, lambda: 0.0) == 0


def test_a_host_that_is_down_cannot_ask_for_more_than_the_cap() -> None:
    asks = Unavailable("down", retry_after_seconds=86_400, is_asked=True)

    assert delay_after(asks, 1, 5_000, lambda: 0.0) == MAX_DELAY_MS


def test_only_our_own_errors_are_quoted() -> None:
    assert describe_failure(NotFound('source "a" not found')) == 'source "a" not found'
    assert describe_failure(OSError("/secret/path")) == "internal error (OSError)"
