"""Prompt templates: reusable prompts with named holes and the schema of what fills them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from catalog_server.plugin_api import UNSET, Entity, Integer, Kind, Nested, Plugin, mark

FORMATS = ("chat_messages", "completion", "jinja2", "handlebars", "raw")
# `{{name}}`; block helpers and expressions of jinja2 and handlebars are not plain variables.
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class ModelConstraints(Nested):
    """What a model must offer to run the prompt."""

    compatible_model_families: list[str] = []
    min_context_tokens: Integer = UNSET
    max_output_tokens: Integer = UNSET


class Example(Nested):
    """One worked example."""

    inputs: Any = None
    expected_output: Any = None
    notes: str = ""


class PromptTemplate(Entity):
    """A prompt template (spec plugins.md 1.4)."""

    format: Annotated[str, mark(width="md", filter=True, options=FORMATS, section="Overview", facet=True, cli=True)] = (
        ""
    )
    task_tags: Annotated[
        list[str], mark(width="md", sortable=False, filter=True, display="tags", search=True, facet=True, cli=True)
    ] = []
    version: Annotated[str, mark(width="sm", section="Overview", cli=True)] = ""
    author: Annotated[str, mark(width="md", filter=True, section="Overview", facet=True, cli=True)] = ""
    license: Annotated[str, mark(section="Overview")] = ""
    template: Annotated[str, mark(section="Template", long_text=True, display="code")] = ""
    parameters_schema: Annotated[dict[str, Any], mark(section="Parameters", display="json")] = {}
    output_schema: Annotated[dict[str, Any], mark(section="Parameters", display="json")] = {}
    model_constraints: Annotated[ModelConstraints | None, mark(section="Model Constraints", display="json")] = None
    examples: Annotated[list[Example], mark(display="json")] = []


def undeclared_placeholders(prompt: PromptTemplate) -> list[tuple[str, str]]:
    """Warn of each `{{placeholder}}` that parametersSchema does not declare."""
    properties = prompt.parameters_schema.get("properties")
    declared = set(properties) if isinstance(properties, dict) else set()
    if prompt.format in ("jinja2", "handlebars") or not prompt.parameters_schema:
        return []
    missing = sorted(set(_PLACEHOLDER.findall(prompt.template)) - declared)
    return [("template", f"placeholder {name!r} is not declared in parametersSchema") for name in missing]


plugin = Plugin(
    name="prompts",
    display_name="Prompt Templates",
    description="Reusable prompt templates",
    icon="file-code",
    kind=Kind(
        name="PromptTemplate",
        plural="prompttemplates",
        entity=PromptTemplate,
        display_name="Prompt Template",
        noun="prompt template",
        warn=undeclared_placeholders,
    ),
)
