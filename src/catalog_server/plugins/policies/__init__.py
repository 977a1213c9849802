"""Policies: governance and access rules, catalogued as records. Nothing here evaluates them."""

from __future__ import annotations

from typing import Annotated, Any

from catalog_server.plugin_api import Entity, Kind, Plugin, mark

TYPES = ("access_control", "data_governance", "safety", "tool_allowlist", "model_allowlist", "compliance")
LANGUAGES = ("rego", "yaml_rules", "json_rules", "cel")
SCOPES = ("agent", "organization", "namespace", "project")
MODES = ("enforce", "audit", "dry-run")


class Policy(Entity):
    """A policy (spec plugins.md 1.7)."""

    policy_type: Annotated[
        str, mark(label="Type", width="md", filter=True, options=TYPES, section="Overview", facet=True, cli=True)
    ] = ""
    language: Annotated[
        str, mark(width="sm", filter=True, options=LANGUAGES, section="Overview", facet=True, cli=True)
    ] = ""
    enforcement_scope: Annotated[
        str, mark(label="Scope", width="md", filter=True, options=SCOPES, section="Overview", facet=True, cli=True)
    ] = ""
    enforcement_mode: Annotated[
        str, mark(label="Mode", width="sm", options=MODES, section="Overview", display="badge", cli=True)
    ] = ""
    bundle_ref: Annotated[str, mark(label="Bundle", section="Bundle", hidden_option=True)] = ""
    entrypoint: Annotated[str, mark(section="Bundle", display="code")] = ""
    input_schema: Annotated[dict[str, Any], mark(section="Input Schema", display="json")] = {}
    version: Annotated[str, mark(section="Overview")] = ""
    author: Annotated[str, mark(section="Overview")] = ""
    license: Annotated[str, mark(section="Overview")] = ""


plugin = Plugin(
    name="policies",
    display_name="Policies",
    description="Governance and access control rules",
    icon="gavel",
    kind=Kind(name="Policy", plural="policies", entity=Policy, display_name="Policy", noun="policy"),
)
