"""A moment at which something that takes several steps has to be over, and how it waits and tries again before that.

For: whatever waits for somebody else in many small steps. A time-out of a socket alone starts anew with every byte, and
nobody can stop a wait that does not look up now and then; so every wait of a provider is cut into slices here.
Not for: what is waited for, and which failures may pass; each provider knows its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

LOOK_SECONDS: Final = 0.25
"""The longest wait without looking whether the whole was given up."""
T = TypeVar("T")


def _never() -> None:
    """Nobody gives up."""


class Passing(Exception):
    """A failure that the next try may not meet. `asked_seconds` is what the other side wants us to wait."""

    def __init__(self, problem: str, *, asked_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.asked_seconds = asked_seconds


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is a time of `time.monotonic`. `check` raises when the whole is to be given up (FileAccess.check)."""

    at: float
    check: Callable[[], None] = _never

    @classmethod
    def after(cls, seconds: float, check: Callable[[], None] = _never) -> Deadline:
        return cls(time.monotonic() + seconds, check)

    def within(self, seconds: float) -> Deadline:
        """For one step, which may have so many seconds of what is left."""
        return replace(self, at=min(self.at, time.monotonic() + seconds))

    def remaining(self) -> float:
        """Seconds, more than none, as sockets want them.

        Raises:
            TimeoutError: it is over.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def allows(self, seconds: float) -> bool:
        """Whether something is left after `seconds`."""
        return time.monotonic() + seconds < self.at

    def slice(self, longest: float = LOOK_SECONDS) -> float:
        """How long to wait before asking again. Raises as `remaining` does, and what `check` raises."""
        self.check()
        return min(self.remaining(), longest)

    def pause(self, seconds: float) -> None:
        """Do nothing for so long. Raises as `slice` does."""
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            self.look_up(min(left, LOOK_SECONDS))

    def look_up(self, seconds: float) -> None:
        """Wait for one slice. Raises as `slice` does."""
        threading.Event().wait(self.slice(seconds))


def retry(
    attempt: Callable[[], T],
    pauses: Iterable[float],
    deadline: Deadline,
    *,
    longest: float = math.inf,
    wait: Callable[[Deadline, float], object] = Deadline.pause,
) -> T:
    """What `attempt` returns, which is tried once more after each of the `pauses`, or after the one that is asked for.

    Raises:
        Passing: the last failure; also when a pause would be over the `longest`, or would last until the deadline.
    """
    for pause in pauses:
        try:
            return attempt()
        except Passing as failure:
            seconds = failure.asked_seconds or pause
            if seconds > longest or not deadline.allows(seconds):
                raise
        wait(deadline, seconds)
    return attempt()
