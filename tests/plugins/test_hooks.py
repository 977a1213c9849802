"""Where a kind differs from the others: licences of models, tools of MCP servers, prompts, guardrails and skills."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog_server.catalog.capabilities import capabilities_v2
from catalog_server.catalog.records import ReadJob, SourceFile, read_records
from catalog_server.catalog.registry import load_plugin
from catalog_server.errors import Invalid
from catalog_server.schema.decode import Record, decode_entity


def decoded(plugin: str, **fields: Any) -> Record:
    return decode_entity(load_plugin(plugin).kind, {"name": "x", **fields}, "s")


def document(plugin: str, **fields: Any) -> dict[str, Any]:
    return json.loads(decoded(plugin, **fields).document)


def fault(plugin: str, **fields: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decoded(plugin, **fields)
    return caught.value


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("apache-2.0", "Apache 2.0"),
        (" Apache-2.0 ", "Apache 2.0"),
        ("mit", "MIT"),
        ("MIT", "MIT"),
        ("bsd-2-clause", "BSD 2-Clause"),
        ("bsd-3-clause", "BSD 3-Clause"),
        ("gpl-2.0", "GPL 2.0"),
        ("gpl-3.0", "GPL 3.0"),
        ("lgpl-2.1", "LGPL 2.1"),
        ("lgpl-3.0", "LGPL 3.0"),
        ("bigscience-openrail-m", "BigScience OpenRAIL-M License"),
        ("openrail", "OpenRAIL License"),
        ("gemma", "Gemma License"),
        *(
            (f"llama{version}", f"Llama {version} Community License")
            for version in ("2", "3", "3.1", "3.2", "3.3", "4")
        ),
        ("nvidia-open-model-license", "NVIDIA Open Model License"),
        ("cc-by-4.0", "Creative Commons Attribution 4.0 International"),
        ("unlicense", "The Unlicense"),
        ("Our own terms", "Our own terms"),
    ],
)
def test_license_of_a_model_when_known_then_is_shown_by_name_and_kept_by_id(given: str, shown: str) -> None:
    found = document("model", license=given)
    assert (found["license"], found["licenseId"]) == (shown, given.strip())
    assert document("mcp", deploymentMode="local", license=given)["license"] == given


def test_license_when_already_a_name_then_stays_and_the_given_id_wins() -> None:
    assert document("model", license="Apache 2.0", licenseId="apache-2.0")["licenseId"] == "apache-2.0"
    assert "license" not in document("model")


def test_license_table_when_loaded_then_knows_the_spdx_list() -> None:
    from catalog_server.plugins.model import license_names

    assert len(license_names()) > 700
    assert all(key == key.lower() and value for key, value in license_names().items())


def test_artifact_when_without_a_type_then_is_a_model_artifact_and_unknown_keys_are_tolerated() -> None:
    found = decoded("model", artifacts=[{"uri": "oci://x", "extra": 1, "customProperties": {"n": 1}}])
    [child] = [json.loads(one.document) for one in found.children]
    assert (child["artifactType"], child["uri"], child["name"]) == ("model-artifact", "oci://x", "model-artifact-1")
    assert child["customProperties"] == {"n": {"metadataType": "MetadataIntValue", "int_value": "1"}}
    assert "extra" not in child


@pytest.mark.parametrize(
    ("artifact", "field"),
    [
        ({"artifactType": "image", "uri": "x"}, "artifacts[1].artifactType"),
        ({}, "artifacts[1].uri"),
        ({"artifactType": "metrics-artifact"}, "artifacts[1].metricsType"),
        ({"artifactType": "metrics-artifact", "metricsType": "speed"}, "artifacts[1].metricsType"),
        ({"uri": "x", "customProperties": {"a": [1]}}, "artifacts[1].customProperties.a"),
        ("text", "artifacts[1]"),
    ],
)
def test_artifact_when_wrong_then_the_fault_names_its_place(artifact: Any, field: str) -> None:
    assert fault("model", artifacts=[{"uri": "ok"}, artifact]).field == field


def test_tool_count_when_tools_are_listed_then_follows_from_them() -> None:
    tools = [{"name": "a"}, {"name": "b", "accessType": "read_only"}]
    assert document("mcp", deploymentMode="local", tools=tools, toolCount=9)["toolCount"] == 2
    assert document("mcp", deploymentMode="local", toolCount=9)["toolCount"] == 9
    assert document("mcp", deploymentMode="local", toolCount=0)["toolCount"] == 0
    assert "toolCount" not in document("mcp", deploymentMode="local")


@pytest.mark.parametrize("mode", ["local", "remote", "hybrid"])
def test_deployment_mode_when_known_then_is_taken(mode: str) -> None:
    assert document("mcp", deploymentMode=mode)["deploymentMode"] == mode


@pytest.mark.parametrize("mode", [None, "", "Local", "cloud", 1, ["local"]])
def test_deployment_mode_when_missing_or_another_then_is_refused(mode: Any) -> None:
    found = fault("mcp", **({} if mode is None else {"deploymentMode": mode}))
    assert found.field == "deploymentMode"


@pytest.mark.parametrize("key", ["mcpservers", "mcp_servers"])
def test_file_of_mcp_servers_when_under_either_top_key_then_is_read(key: str) -> None:
    data = f"{key}:\n  - {{name: a, deploymentMode: local}}\n".encode()
    batch = read_records(load_plugin("mcp").kind, ReadJob("s", (SourceFile("f.yaml", data),), (), (), {}, 1 << 20))
    assert list(batch.items) == ["a"]


def test_shell_skill_when_silent_about_approval_then_needs_it() -> None:
    assert document("skills", skillType="shell_command")["safety"] == {"requiresApproval": True}
    given = {"riskLevel": "low"}
    assert document("skills", skillType="shell_command", safety=given)["safety"] == {"requiresApproval": True, **given}
    assert "safety" not in document("skills", skillType="mcp_tool")


def test_shell_skill_when_it_declines_approval_then_is_kept_with_a_warning() -> None:
    record = decoded("skills", skillType="shell_command", safety={"requiresApproval": False})
    assert json.loads(record.document)["safety"] == {"requiresApproval": False}
    assert record.warnings == (("safety.requiresApproval", "a shell command runs without approval"),)
    assert decoded("skills", skillType="k8s_action", safety={"requiresApproval": False}).warnings == ()


SCHEMA = {"type": "object", "properties": {"ticket": {"type": "string"}}}


@pytest.mark.parametrize(
    ("template", "format_", "schema", "undeclared"),
    [
        ("{{ticket}}", "completion", SCHEMA, []),
        ("{{ ticket }} {{tone}} {{tone}} {{ lang }}", "completion", SCHEMA, ["lang", "tone"]),
        ("{{tone}}", "chat_messages", {"type": "object"}, ["tone"]),
        ("{{tone}}", "completion", {}, []),
        ("{{tone}}", "jinja2", SCHEMA, []),
        ("{{#each x}}", "raw", SCHEMA, []),
        ("{tone} { {tone} }", "raw", SCHEMA, []),
    ],
)
def test_prompt_when_a_placeholder_is_not_declared_then_is_kept_with_a_warning(
    template: str, format_: str, schema: dict[str, Any], undeclared: list[str]
) -> None:
    record = decoded("prompts", template=template, format=format_, parametersSchema=schema)
    assert record.warnings == tuple(
        ("template", f"placeholder {name!r} is not declared in parametersSchema") for name in undeclared
    )


def test_guardrail_when_it_uses_another_vocabulary_then_is_kept_with_a_warning() -> None:
    record = decoded("guardrails", enforcementStage="pre-inference", riskCategories=["pii", "bias"])
    assert [path for path, _ in record.warnings] == ["enforcementStage", "riskCategories"]
    assert "'bias' is none of pii" in record.warnings[1][1]


ADVERTISED = {
    "model": ("name provider task license source_id", "name provider task license source_id"),
    "mcp": (
        "name deploymentMode provider transportType toolCount license category",
        "name deploymentMode provider transportType toolCount license category",
    ),
    "prompts": ("name format taskTags version author", "name format taskTags author"),
    "agents": ("name agentType category version author", "name agentType category"),
    "guardrails": (
        "name guardrailType enforcementStage enforcementMode riskCategories",
        "name guardrailType enforcementStage enforcementMode",
    ),
    "policies": (
        "name policyType language enforcementScope enforcementMode",
        "name policyType language enforcementScope",
    ),
    "skills": ("name skillType riskLevel version author", "name skillType riskLevel"),
}


@pytest.mark.parametrize("name", ADVERTISED)
def test_columns_and_filters_when_advertised_then_are_those_of_the_specification(name: str) -> None:
    [entity] = capabilities_v2(load_plugin(name), {})["entities"]
    columns, filters = ADVERTISED[name]
    assert {column["name"] for column in entity["fields"]["columns"]} == set(columns.split())
    assert {field["name"] for field in entity["fields"]["filterFields"]} == set(filters.split())
