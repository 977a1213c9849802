"""Whose data a call may see. Every read and write takes a Scope, so that forgetting it does not type-check."""

from __future__ import annotations

import re
from dataclasses import dataclass

from catalog_server.errors import Invalid

DEFAULT_NAMESPACE = "default"
NAMESPACE_MAX_LENGTH = 63
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def check_namespace(name: str) -> str:
    """Return `name` if it is a DNS label (spec platform.md 3.1), else raise Invalid."""
    if len(name) > NAMESPACE_MAX_LENGTH or _NAMESPACE.fullmatch(name) is None:
        raise Invalid(
            f"invalid namespace {name[:80]!r}: 1 to 63 characters, lower-case letters, digits and hyphens,"
            " first and last a letter or digit",
            field="namespace",
        )
    return name


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant that a call acts for. `namespace` is a DNS label; `default` in single-tenant mode."""

    namespace: str

    def __post_init__(self) -> None:
        check_namespace(self.namespace)


DEFAULT_SCOPE = Scope(DEFAULT_NAMESPACE)
