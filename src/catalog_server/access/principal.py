"""Who asks. One value for roles, authorization, audit and jobs (spec platform.md 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_NOBODY: Final = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller, as a proxy or a verified token names it. Made by the identity middleware only."""

    user: str
    groups: tuple[str, ...] = ()
    is_operator: bool = False
    """The role that counts where no authorization is configured."""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further attributes that authorization by Kubernetes is told of."""

    @property
    def is_anonymous(self) -> bool:
        return self.user == _NOBODY


ANONYMOUS: Final = Principal(_NOBODY)
