"""A binding as a value: which version of an asset an environment uses, and how that can change. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog_server.clock import format_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """`bound_at` is milliseconds since the epoch."""

    environment: str
    version_id: str
    bound_at: int
    bound_by: str
    previous_version_id: str | None

    @property
    def document(self) -> dict[str, Any]:
        found = {
            "environment": self.environment,
            "versionId": self.version_id,
            "boundAt": format_ms(self.bound_at),
            "boundBy": self.bound_by,
            "previousVersionId": self.previous_version_id,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a change of a binding came to. `warnings`: what the caller should know all the same."""

    binding: Binding
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Move:
    """A version for an environment: a given one, or the one that another environment has."""

    action: str
    environment: str
    version_id: str | None = None
    from_environment: str | None = None
