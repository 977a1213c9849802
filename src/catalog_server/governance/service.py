"""All parts of governance as one value, and the files that hold its rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from catalog_server.audit.trail import Trail
from catalog_server.catalog.registry import Registry
from catalog_server.db.engine import Engine
from catalog_server.governance.actions import Actions
from catalog_server.governance.approvals import Approvals
from catalog_server.governance.bindings import Bindings
from catalog_server.governance.config import GovernanceConfig, parse_config
from catalog_server.governance.entities import unknown_names
from catalog_server.governance.files import read_optional
from catalog_server.governance.policies import Policies, parse_policies
from catalog_server.governance.records import Records
from catalog_server.governance.versions import Look, Versions

POLICIES_VARIABLE: Final = "CATALOG_APPROVAL_POLICIES"
CONFIG_VARIABLE: Final = "CATALOG_GOVERNANCE_CONFIG"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the files say."""

    policies: Policies
    config: GovernanceConfig


@dataclass(frozen=True, slots=True)
class Governance:
    """Handed to the HTTP edge."""

    policies: Policies
    records: Records
    approvals: Approvals
    versions: Versions
    bindings: Bindings
    actions: Actions


def open_governance(engine: Engine, trail: Trail, rules: Rules, look: Look) -> Governance:
    """`look` finds the entity of an asset."""
    records = Records(engine, trail)
    approvals = Approvals(engine, records, trail)
    versions = Versions(engine, records, trail, look)
    bindings = Bindings(engine, records, trail, rules.config.environments)
    actions = Actions(engine, rules.policies, records, approvals, versions, bindings)
    return Governance(rules.policies, records, approvals, versions, bindings, actions)


def read_rules(policies: Path, config: Path, registry: Registry) -> Rules:
    """The rules in these files. Where a file is not there, its defaults hold: no policy, three environments.

    Raises:
        Invalid: a file cannot be read, or is wrong.
    """
    return Rules(_read_policies(policies, registry), _read_config(config))


def _read_policies(path: Path, registry: Registry) -> Policies:
    data = read_optional(path, POLICIES_VARIABLE)
    if data is None:
        return Policies()
    found = parse_policies(data, file=str(path))
    log.info("approval policies read", file=str(path), in_force=[one.id for one in found.entries if one.enabled])
    for policy in found.entries:
        # No error: one file may serve servers with different plugins.
        if unknown := unknown_names(policy.selector, registry):
            log.warning("a policy is about what no plugin has", file=str(path), policy=policy.id, unknown=unknown)
    return found


def _read_config(path: Path) -> GovernanceConfig:
    data = read_optional(path, CONFIG_VARIABLE)
    if data is None:
        return GovernanceConfig()
    found = parse_config(data, file=str(path))
    log.info("governance rules read", file=str(path), environments=list(found.environments))
    if found.trusted_sources:
        log.warning("trustedSources has no effect: no source approves by itself", file=str(path))
    return found
