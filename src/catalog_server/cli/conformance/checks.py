"""What a check is: a function with a stable id that raises `Broken` where the server does not keep a promise.

Every check is run, whatever became of those before it. One that cannot be made here raises `Skipped` and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from catalog_server.cli.conformance.subject import Catalog, Site

Status = Literal["passed", "failed", "skipped"]


class Broken(Exception):
    """The server does not keep a promise; the message says which, where, and what was seen."""


class Skipped(Exception):
    """The check does not apply here; the message says why."""


@dataclass(frozen=True)
class Check:
    """`run` takes the catalog of a plugin, or, of a check `once`, the site alone."""

    category: str
    name: str
    purpose: str
    once: bool
    run: Callable[..., None]

    @property
    def id(self) -> str:
        """Stable: never used for another check."""
        return f"{self.category}.{self.name}"


CHECKS: Final[list[Check]] = []
CATEGORIES: Final = {
    "A": "capabilities",
    "B": "list_get",
    "C": "sources_actions",
    "D": "security",
    "E": "observability",
    "F": "openapi",
    "G": "contract",
    "H": "write_path",
    "I": "governance",
}
"""A to F are those of the reference; the others are what else clients rely on."""


def catalog_check(category: str, name: str) -> Callable[[Callable[[Catalog], None]], Callable[[Catalog], None]]:
    """Makes a function a check that is run for each plugin. Its docstring says what it is for."""

    def register(run: Callable[[Catalog], None]) -> Callable[[Catalog], None]:
        CHECKS.append(Check(category, name, (run.__doc__ or "").strip(), False, run))
        return run

    return register


def site_check(category: str, name: str) -> Callable[[Callable[[Site], None]], Callable[[Site], None]]:
    """The same, of a check that is run once for the whole server."""

    def register(run: Callable[[Site], None]) -> Callable[[Site], None]:
        CHECKS.append(Check(category, name, (run.__doc__ or "").strip(), True, run))
        return run

    return register


def require(holds: object, message: str) -> None:
    """Raises Broken."""
    if not holds:
        raise Broken(message)
