"""The error kinds of the server. No HTTP in here: http/problems.py holds the one table from kind to status.

CatalogError
├── Invalid            a value that the caller (or an operator's file) gave is wrong
│   └── TooLarge       … because it exceeds a limit
├── NotFound           the named thing does not exist in this scope
├── Conflict           the change contradicts the present state
├── Forbidden          known caller, not allowed
├── Unauthenticated    no or bad credentials
├── RateLimited        too soon; `retry_after_seconds` says when
└── Unavailable        a part that this needs is down; reads may still work
    └── Fenced         … for this replica: another one leads by now
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class CatalogError(Exception):
    """Root of all expected failures. `message` is safe to show to a client.

    `field` names the offending parameter or document field (dotted path), where there is one.
    """

    details: Mapping[str, str] = {}
    """What else the answer tells, by name."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text file. `line` and `column` start at 1."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column is not None else "")


class Invalid(CatalogError):
    """A given value is wrong. `location` points into a file, `position` (0-based) into a one-line text.

    `code` is a machine word for the validation layers of spec http-api.md 2.7 (for example `id_invalid`).
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        location: Location | None = None,
        position: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(f"{location}: {message}" if location else message, field=field)
        self.reason = message
        self.location = location
        self.position = position
        self.code = code


class TooLarge(Invalid):
    """A given value exceeds a limit that the message names."""


class NotFound(CatalogError):
    """The named thing does not exist in this scope."""


class Conflict(CatalogError):
    """The change contradicts the present state."""


class Forbidden(CatalogError):
    """The caller is known and not allowed."""


class Unauthenticated(CatalogError):
    """Credentials are missing or bad."""


class RateLimited(CatalogError):
    """The caller came too soon."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(CatalogError):
    """A part that this operation needs is down.

    `is_asked`: that part itself has named the time after which to come back; else it is only our guess.
    """

    def __init__(self, message: str, *, retry_after_seconds: int = 5, is_asked: bool = False) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.is_asked = is_asked


class Fenced(Unavailable):
    """Another replica leads by now: what this one was about to write as the leader must not be written."""
