"""A moment at which something that takes several steps has to be over, however many steps there are.

For: what talks to a network in many small waits; a time-out of a socket alone starts anew with every byte.
Not for: programs that run beside us (git_command.py), which are killed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is a time of `time.monotonic`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

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
