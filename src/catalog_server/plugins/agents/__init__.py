"""Agents and multi-agent set-ups, with links to the models, tools, knowledge and rules that they use."""

from __future__ import annotations

from typing import Annotated, Any

from catalog_server.plugin_api import UNSET, Entity, Flag, Integer, Kind, Nested, Number, Plugin, mark

TYPES = ("conversational", "task_oriented", "router", "planner", "executor", "evaluator")


class ModelConfig(Nested):
    """Which models the agent runs on, and how."""

    preferred_model_ref: Annotated[str, mark(links_to="CatalogModel")] = ""
    fallback_model_refs: Annotated[list[str], mark(links_to="CatalogModel")] = []
    max_tokens: Integer = UNSET
    temperature: Number = UNSET
    top_p: Number = UNSET


class ToolUse(Nested):
    """A skill or MCP server that the agent calls."""

    skill_ref: Annotated[str, mark(links_to="Skill")] = ""
    mcp_tool_ref: Annotated[str, mark(links_to="McpServer")] = ""
    required: Flag = UNSET
    timeout: Integer = UNSET


class KnowledgeUse(Nested):
    """A knowledge source that the agent retrieves from."""

    knowledge_source_ref: Annotated[str, mark(links_to="KnowledgeSource")]
    retrieval_hints: dict[str, Any] = {}


class GuardrailUse(Nested):
    """A guardrail around the agent."""

    guardrail_ref: Annotated[str, mark(links_to="Guardrail")]
    enforcement_mode: str = ""


class PolicyUse(Nested):
    """A policy that binds the agent."""

    policy_ref: Annotated[str, mark(links_to="Policy")]
    enforcement_mode: str = ""


class PromptUse(Nested):
    """A prompt template that the agent starts from."""

    prompt_template_ref: Annotated[str, mark(links_to="PromptTemplate")]
    role: str = ""


class AgentUse(Nested):
    """Another agent that this one depends on."""

    agent_ref: Annotated[str, mark(links_to="Agent")]
    role: str = ""


class Example(Nested):
    """One worked example."""

    input: Any = None
    output: Any = None


_TOOLS = mark(section="Tools & Knowledge", display="json")
_RULES = mark(section="Guardrails & Policies", display="json")
_IO = mark(section="Input/Output", display="json")


class Agent(Entity):
    """An agent (spec plugins.md 1.5)."""

    agent_type: Annotated[
        str, mark(label="Type", width="md", filter=True, options=TYPES, section="Overview", facet=True, cli=True)
    ] = ""
    category: Annotated[str, mark(width="md", filter=True, section="Overview", search=True, facet=True, cli=True)] = ""
    version: Annotated[str, mark(width="sm", section="Overview", cli=True)] = ""
    author: Annotated[str, mark(width="md", section="Overview", cli=True)] = ""
    license: Annotated[str, mark(section="Overview")] = ""
    instructions: Annotated[str, mark(section="Instructions", long_text=True, display="markdown")] = ""
    model_config: Annotated[
        ModelConfig | None, mark(label="Model Configuration", section="Model Configuration", display="json")
    ] = None
    tools: Annotated[list[ToolUse], _TOOLS] = []
    knowledge: Annotated[list[KnowledgeUse], _TOOLS] = []
    prompt_refs: Annotated[list[PromptUse], _TOOLS] = []
    guardrails: Annotated[list[GuardrailUse], _RULES] = []
    policies: Annotated[list[PolicyUse], _RULES] = []
    dependencies: Annotated[list[AgentUse], mark(section="Dependencies", display="json")] = []
    input_schema: Annotated[dict[str, Any], _IO] = {}
    output_schema: Annotated[dict[str, Any], _IO] = {}
    examples: Annotated[list[Example], _IO] = []


plugin = Plugin(
    name="agents",
    display_name="Agents",
    description="Agents and multi-agent set-ups",
    icon="robot",
    kind=Kind(name="Agent", plural="agents", entity=Agent, display_name="Agent", noun="agent"),
)
