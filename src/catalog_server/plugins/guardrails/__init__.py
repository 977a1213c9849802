"""Guardrails: safety and moderation rules that stand before, after or around a model."""

from __future__ import annotations

from typing import Annotated, Any

from catalog_server.plugin_api import Entity, Kind, Plugin, mark

TYPES = ("nemo_guardrails", "guardrails_ai", "regex_rules", "content_filter", "moderation_profile")
STAGES = ("pre_prompt", "post_generation", "tool_use", "retrieval", "output_format")
RISKS = ("pii", "secrets", "hate", "violence", "self_harm", "malware", "policy_violation")
MODES = ("advisory", "required")


class Guardrail(Entity):
    """A guardrail (spec plugins.md 1.6). Values outside the known sets are warnings: other vocabularies exist."""

    guardrail_type: Annotated[
        str,
        mark(
            label="Type",
            width="md",
            filter=True,
            options=TYPES,
            others="warning",
            section="Overview",
            facet=True,
            cli=True,
        ),
    ] = ""
    enforcement_stage: Annotated[
        str,
        mark(
            label="Stage",
            width="md",
            filter=True,
            options=STAGES,
            others="warning",
            section="Overview",
            facet=True,
            cli=True,
        ),
    ] = ""
    enforcement_mode: Annotated[
        str,
        mark(
            label="Mode",
            width="sm",
            filter=True,
            options=MODES,
            others="warning",
            section="Overview",
            display="badge",
            facet=True,
            cli=True,
        ),
    ] = ""
    risk_categories: Annotated[
        list[str],
        mark(
            width="md",
            sortable=False,
            options=RISKS,
            others="warning",
            section="Risk Categories",
            display="tags",
            search=True,
            cli=True,
        ),
    ] = []
    modalities: Annotated[list[str], mark(section="Risk Categories", display="tags")] = []
    config_ref: Annotated[dict[str, Any], mark(label="Configuration", section="Configuration", display="json")] = {}
    version: Annotated[str, mark(section="Overview")] = ""
    author: Annotated[str, mark(section="Overview")] = ""
    license: Annotated[str, mark(section="Overview")] = ""


plugin = Plugin(
    name="guardrails",
    display_name="Guardrails",
    description="AI safety and moderation rules",
    icon="shield",
    kind=Kind(name="Guardrail", plural="guardrails", entity=Guardrail, display_name="Guardrail", noun="guardrail"),
)
