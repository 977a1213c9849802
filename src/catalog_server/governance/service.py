"""All parts of governance as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from catalog_server.audit.trail import Trail
from catalog_server.db.engine import Engine
from catalog_server.errors import Invalid
from catalog_server.governance.actions import Actions
from catalog_server.governance.approvals import Approvals
from catalog_server.governance.policies import Policies, parse_policies
from catalog_server.governance.records import Records

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Governance:
    """Handed to the HTTP edge."""

    policies: Policies
    records: Records
    approvals: Approvals
    actions: Actions


def open_governance(engine: Engine, trail: Trail, policies: Policies) -> Governance:
    records = Records(engine, trail)
    approvals = Approvals(engine, records, trail)
    return Governance(policies, records, approvals, Actions(engine, records, approvals, policies))


def read_policies(path: Path) -> Policies:
    """The policies in this file; none where there is no such file.

    Raises:
        Invalid: the file cannot be read, or is wrong.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Policies()
    except OSError as error:
        raise Invalid(f"CATALOG_APPROVAL_POLICIES: {path}: {error.strerror}") from error
    found = parse_policies(data, file=str(path))
    in_force = [policy.id for policy in found.entries if policy.enabled]
    log.info("approval policies read", file=str(path), in_force=in_force)
    return found
