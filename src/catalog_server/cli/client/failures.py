"""How a command can fail, and with which exit status (spec cli-and-ui.md 1.4).

For: everything that a user is told as one line, or with `-o json` as one object. Not for faults of the program itself:
main.py turns those into one line, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the status of the process says."""

    OK = 0
    OTHER = 1
    USAGE = 2
    NOT_FOUND = 3
    FORBIDDEN = 4
    INVALID = 5
    CONFLICT = 6
    RATE_LIMITED = 7
    UNAVAILABLE = 8
    PENDING = 9


_CODES: Mapping[int, ExitCode] = {
    400: ExitCode.INVALID,
    401: ExitCode.FORBIDDEN,
    403: ExitCode.FORBIDDEN,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.CONFLICT,
    413: ExitCode.INVALID,
    422: ExitCode.INVALID,
    429: ExitCode.RATE_LIMITED,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}


def exit_code_of(status: int) -> ExitCode:
    """The exit status that stands for an HTTP status of 300 or more."""
    return _CODES.get(status, ExitCode.OTHER)


class Failure(Exception):
    """A command that did not do what it was asked for.

    `word` is a machine word, the server's `error` where it gave one. `status` is the HTTP status, None where no answer
    came. `details` are the other fields of the server's answer.
    """

    def __init__(
        self,
        message: str,
        code: ExitCode = ExitCode.OTHER,
        *,
        word: str = "error",
        status: int | None = None,
        request_id: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.word = word
        self.status = status
        self.request_id = request_id
        self.details = dict(details or {})

    @property
    def line(self) -> str:
        """For people: `<message> (HTTP 409, request-id ...)`."""
        known = [f"HTTP {self.status}"] if self.status is not None else []
        known += [f"request-id {self.request_id}"] if self.request_id else []
        return f"{self.message} ({', '.join(known)})" if known else self.message

    @property
    def document(self) -> dict[str, Any]:
        """For programs: `{"error": {"status", "error", "message", "details"}}`."""
        found: dict[str, Any] = {"status": self.status, "error": self.word, "message": self.message}
        if self.request_id:
            found["requestId"] = self.request_id
        return {"error": {**found, "details": self.details}}


class Usage(Failure):
    """The command line, the environment or the configuration of the client is wrong. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.USAGE, word="usage")


class Unreachable(Failure):
    """No answer came."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitCode.UNAVAILABLE, word="unreachable")
