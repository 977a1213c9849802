"""The governance file: the environments that versions are bound to, and how long audit events are kept (spec 9.8)."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from catalog_server.errors import Invalid
from catalog_server.governance.files import Part, Parts, parse_file, placed

_Name = Annotated[str, Meta(pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]


class AuditRetention(Part, frozen=True):
    days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    """None: what the variable says."""


class GovernanceConfig(Part, frozen=True):
    """The whole file. The first environment is for trying out; all others are protected."""

    environments: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=32)] = ("dev", "stage", "prod")
    audit_retention: AuditRetention = AuditRetention()
    trusted_sources: tuple[str, ...] = ()
    """Known so that files of the reference can be read. Nothing asks for it."""


_PARTS: Final[Parts] = {"": GovernanceConfig, "auditRetention": AuditRetention}


def parse_config(data: bytes, *, file: str) -> GovernanceConfig:
    """The text of a governance file.

    Raises:
        Invalid: it is no YAML, or breaks a rule; with file, line and field.
    """
    found, document = parse_file(data, file, GovernanceConfig, _PARTS)
    for number, name in enumerate(found.environments):
        if name in found.environments[:number]:
            raise placed(Invalid(f"{name} stands there twice", field=f"environments[{number}]"), document)
    return found
