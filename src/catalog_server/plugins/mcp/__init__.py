"""MCP servers: where they run, how they are reached, and the tools that they offer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from catalog_server.plugin_api import (
    UNSET,
    ChildKind,
    Flag,
    Integer,
    Invalid,
    Kind,
    ListRules,
    Nested,
    Plugin,
    TimedEntity,
    mark,
)

DEPLOYMENT_MODES = ("local", "remote", "hybrid")
TRANSPORTS = ("stdio", "sse", "streamable-http")


class ToolParameter(Nested):
    """One parameter of a tool."""

    name: str
    type: str = ""
    description: str = ""
    required: Flag = UNSET


class Tool(Nested):
    """One tool that a server offers."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    description: Annotated[str, mark(long_text=True)] = ""
    access_type: Literal["read_only", "read_write", "execute", ""] = ""
    parameters: list[ToolParameter] = []
    revoked: Flag = UNSET
    revoked_reason: str = ""


class Endpoints(Nested):
    """Addresses by transport."""

    http: str = ""
    sse: str = ""


class ServerArtifact(Nested):
    """An image or package that carries the server."""

    uri: str
    create_time_since_epoch: str = ""
    last_update_time_since_epoch: str = ""


_OVERVIEW = "Overview"
_CONNECTION = "Connection"
_SECURITY = "Security"


class McpServer(TimedEntity):
    """An MCP server (spec plugins.md 1.2), with the fields of the richer model."""

    deployment_mode: Annotated[
        str, mark(width="md", filter=True, options=DEPLOYMENT_MODES, section=_OVERVIEW, display="badge", facet=True)
    ] = ""
    provider: Annotated[str, mark(width="md", filter=True, section=_OVERVIEW, search=True, cli=True)] = ""
    transport_type: Annotated[
        str,
        mark(
            label="Transport",
            width="sm",
            filter=True,
            options=TRANSPORTS,
            others="accepted",
            section=_CONNECTION,
            facet=True,
            cli=True,
        ),
    ] = ""
    tool_count: Annotated[Integer, mark(label="Tools", width="sm", filter=True, section="Statistics", cli=True)] = UNSET
    license: Annotated[str, mark(width="md", filter=True, section=_OVERVIEW)] = ""
    category: Annotated[str, mark(width="md", filter=True, section=_OVERVIEW, search=True, facet=True, cli=True)] = ""
    server_url: Annotated[str, mark(label="Server URL", section=_CONNECTION, display="link", hidden_option=True)] = ""
    image: Annotated[str, mark(section=_CONNECTION, display="imageRef", hidden_option=True)] = ""
    endpoint: Annotated[str, mark(section=_CONNECTION, display="link", hidden_option=True)] = ""
    supported_transports: Annotated[str, mark(section=_CONNECTION)] = ""
    resource_count: Annotated[Integer, mark(label="Resources", section="Statistics")] = UNSET
    prompt_count: Annotated[Integer, mark(label="Prompts", section="Statistics")] = UNSET
    logo: Annotated[str, mark(hidden_option=True, long_text=True)] = ""
    verified: Annotated[Flag, mark(section=_SECURITY)] = UNSET
    certified: Annotated[Flag, mark(section=_SECURITY)] = UNSET
    verified_source: Annotated[Flag, mark(section=_SECURITY)] = UNSET
    secure_endpoint: Annotated[Flag, mark(section=_SECURITY)] = UNSET
    sast: Annotated[Flag, mark(label="SAST", section=_SECURITY)] = UNSET
    read_only_tools: Annotated[Flag, mark(section=_SECURITY)] = UNSET
    version: str = ""
    tags: Annotated[list[str], mark(display="tags", search=True)] = []
    transports: list[str] = []
    endpoints: Endpoints | None = None
    readme: Annotated[str, mark(section="Documentation", long_text=True, display="markdown")] = ""
    documentation_url: Annotated[str, mark(hidden_option=True, display="link")] = ""
    repository_url: Annotated[str, mark(hidden_option=True, display="link")] = ""
    source_code: Annotated[str, mark(hidden_option=True)] = ""
    published_date: Annotated[str, mark(hidden_option=True)] = ""
    license_link: Annotated[str, mark(hidden_option=True, display="link")] = ""
    artifacts: list[ServerArtifact] = []
    tools: list[Tool] = []


def count_tools(server: McpServer) -> McpServer:
    """The number of tools follows from the list, where one is given (spec plugins.md 1.2)."""
    if not server.tools:
        return server
    return msgspec.structs.replace(server, tool_count=len(server.tools))


def check_mode(raw: dict[str, Any]) -> dict[str, Any]:
    """deploymentMode is required (spec plugins.md 1.2)."""
    if not raw.get("deploymentMode"):
        raise Invalid(
            f"required; one of {', '.join(DEPLOYMENT_MODES)}", field="deploymentMode", code="property_required"
        )
    return raw


plugin = Plugin(
    name="mcp",
    display_name="MCP Servers",
    description="Model Context Protocol servers",
    icon="server",
    kind=Kind(
        name="McpServer",
        plural="mcpservers",
        entity=McpServer,
        display_name="MCP Server",
        noun="MCP server",
        color="#0066CC",
        top_keys=("mcp_servers",),
        serves_id=True,
        custom_properties="tagged",
        bare_like_is_substring=False,
        rules=ListRules(page_size=20, lenient_page_size=False, size_is_total=False, default_order="ID"),
        children=(ChildKind("tool", "tools", Tool, (Tool,), inline=True, served=False),),
        prepare=check_mode,
        enrich=count_tools,
    ),
)
