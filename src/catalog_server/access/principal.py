"""Who asks. One value for roles, authorization, audit and jobs (spec platform.md 4.1), and what its names may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from catalog_server.errors import Invalid

_NOBODY: Final = "anonymous"
LONGEST_USER: Final = 255
"""Characters, as many as jobs and revisions keep."""
LONGEST_GROUP: Final = 512
MOST_GROUPS: Final = 500
"""Directories know users in a few hundred groups. Nothing is cut off: fewer groups would be other rights."""


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


def read_groups(given: Iterable[str], field: str) -> tuple[str, ...]:
    """Names of groups: trimmed, none empty, none twice, in the order given.

    Raises:
        Invalid: one is too long or not printable, or there are too many; `field` is where they were given.
    """
    names = tuple(dict.fromkeys(name for one in given if (name := one.strip())))
    if len(names) > MOST_GROUPS:
        raise Invalid(f"names more than {MOST_GROUPS} groups", field=field)
    for name in names:
        if len(name) > LONGEST_GROUP:
            raise Invalid(f"names a group of more than {LONGEST_GROUP} characters", field=field)
        if not name.isprintable():
            raise Invalid("names a group with characters that are not printable", field=field)
    return names
