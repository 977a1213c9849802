"""Skills: tools, operations and actions that an agent can call, catalogued with their safety limits."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from catalog_server.plugin_api import UNSET, Entity, Flag, Integer, Kind, Nested, Number, Plugin, mark

TYPES = ("mcp_tool", "openapi_operation", "k8s_action", "shell_command")
RISK_LEVELS = ("low", "medium", "high")


class Execution(Nested):
    """How the skill is run; which keys apply depends on `executorType`."""

    executor_type: str = ""
    mcp_server_ref: Annotated[str, mark(links_to="McpServer")] = ""
    tool_name: str = ""
    openapi_ref: str = ""
    operation_id: str = ""
    base_url: str = ""
    api_group: str = ""
    resource: str = ""
    subresource: str = ""
    verb: str = ""
    command: str = ""
    args: list[str] = []
    working_dir: str = ""
    env: dict[str, str] = {}


class Safety(Nested):
    """What must hold before the skill is called."""

    requires_approval: Flag = UNSET
    risk_level: Annotated[
        str,
        mark(
            alias="riskLevel",
            width="sm",
            filter=True,
            options=RISK_LEVELS,
            section="Safety & Constraints",
            display="badge",
            facet=True,
        ),
    ] = ""
    network_access_required: Flag = UNSET
    secret_refs: list[str] = []
    allowed_namespaces: list[str] = []


class RateLimit(Nested):
    """Upper bounds on calls."""

    max_calls_per_minute: Integer = UNSET
    max_concurrent: Integer = UNSET


class RetryPolicy(Nested):
    """What happens when a call fails."""

    max_retries: Integer = UNSET
    backoff_seconds: Number = UNSET


class Compatibility(Nested):
    """Where the skill runs."""

    supported_environments: list[str] = []


_SAFETY = mark(section="Safety & Constraints", display="json")


class Skill(Entity):
    """A skill (spec plugins.md 1.8)."""

    skill_type: Annotated[
        str, mark(label="Type", width="md", filter=True, options=TYPES, section="Overview", facet=True, cli=True)
    ] = ""
    safety: Annotated[Safety | None, _SAFETY] = None
    version: Annotated[str, mark(width="sm", section="Overview", cli=True)] = ""
    author: Annotated[str, mark(width="md", section="Overview", cli=True)] = ""
    license: Annotated[str, mark(section="Overview", cli=True)] = ""
    input_schema: Annotated[dict[str, Any], mark(section="Input/Output Schema", display="json")] = {}
    output_schema: Annotated[dict[str, Any], mark(section="Input/Output Schema", display="json")] = {}
    execution: Annotated[Execution | None, mark(section="Execution", display="json")] = None
    rate_limit: Annotated[RateLimit | None, _SAFETY] = None
    timeout_seconds: Annotated[Integer, mark(section="Safety & Constraints")] = UNSET
    retry_policy: Annotated[RetryPolicy | None, _SAFETY] = None
    compatibility: Annotated[Compatibility | None, _SAFETY] = None


def require_approval(skill: Skill) -> Skill:
    """A shell command needs approval unless its author says otherwise (spec plugins.md 1.8)."""
    safety = skill.safety or Safety()
    if skill.skill_type != "shell_command" or safety.requires_approval is not UNSET:
        return skill
    return msgspec.structs.replace(skill, safety=msgspec.structs.replace(safety, requires_approval=True))


def unapproved_shell(skill: Skill) -> list[tuple[str, str]]:
    """Warn of a shell command that runs without approval."""
    if skill.skill_type == "shell_command" and skill.safety is not None and skill.safety.requires_approval is False:
        return [("safety.requiresApproval", "a shell command runs without approval")]
    return []


plugin = Plugin(
    name="skills",
    display_name="Skills",
    description="Tools, operations and executable actions",
    icon="wrench",
    kind=Kind(
        name="Skill",
        plural="skills",
        entity=Skill,
        display_name="Skill",
        noun="skill",
        enrich=require_approval,
        warn=unapproved_shell,
    ),
)
