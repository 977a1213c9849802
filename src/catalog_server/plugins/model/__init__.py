"""Machine learning models, with their artifacts and measured performance and accuracy."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec

from catalog_server.plugin_api import (
    SOURCE_TYPES,
    ChildKind,
    Invalid,
    Kind,
    ListRules,
    Milliseconds,
    Nested,
    Plugin,
    TimedEntity,
    mark,
    tag_properties,
)


class _Artifact(Nested, forbid_unknown_fields=False, tag_field="artifactType"):
    """What all artifacts have. Unknown keys are tolerated (spec plugins.md 1.1)."""

    name: str = ""
    external_id: str = ""
    description: Annotated[str, mark(long_text=True)] = ""
    create_time_since_epoch: Milliseconds | None = None
    last_update_time_since_epoch: Milliseconds | None = None
    custom_properties: dict[str, Any] = {}


class ModelArtifact(_Artifact, kw_only=True, tag="model-artifact"):
    """Where the weights are."""

    uri: str


class MetricsArtifact(_Artifact, kw_only=True, tag="metrics-artifact"):
    """Measurements of the model."""

    metrics_type: Literal["performance-metrics", "accuracy-metrics"]


_OVERVIEW = "Overview"
_DETAILS = "Details"


class CatalogModel(TimedEntity):
    """A model (spec plugins.md 1.1)."""

    provider: Annotated[str, mark(width="md", filter=True, section=_OVERVIEW, search=True, facet=True, cli=True)] = ""
    tasks: Annotated[
        list[str],
        mark(
            alias="task",
            label="Task",
            width="md",
            filter=True,
            section=_OVERVIEW,
            display="tags",
            search=True,
            facet=True,
            cli=True,
        ),
    ] = []
    license: Annotated[str, mark(width="md", filter=True, section=_OVERVIEW, facet=True)] = ""
    license_id: Annotated[str, mark(label="License ID", names=("license_id",))] = ""
    license_link: Annotated[
        str, mark(names=("license_link",), section=_OVERVIEW, display="link", hidden_option=True)
    ] = ""
    maturity: Annotated[str, mark(section=_DETAILS, display="badge", facet=True)] = ""
    language: Annotated[list[str], mark(section=_DETAILS, display="tags")] = []
    library_name: Annotated[str, mark(names=("library_name",), section=_DETAILS, search=True)] = ""
    logo: Annotated[str, mark(hidden_option=True, long_text=True)] = ""
    readme: Annotated[str, mark(section="Documentation", long_text=True, display="markdown")] = ""
    artifacts: list[ModelArtifact | MetricsArtifact] = []


def tag_artifacts(raw: dict[str, Any]) -> dict[str, Any]:
    """Give each artifact its type (absent: model-artifact) and its custom properties their tagged form."""
    artifacts = raw.get("artifacts", [])
    if not isinstance(artifacts, list):
        return raw  # the type check that follows says what is wrong
    return {**raw, "artifacts": [_tag_artifact(one, number) for number, one in enumerate(artifacts)]}


def _tag_artifact(raw: Any, number: int) -> Any:
    if not isinstance(raw, dict):
        return raw
    field = f"artifacts[{number}]"
    artifact_type = raw.get("artifactType", "model-artifact")
    if artifact_type not in ("model-artifact", "metrics-artifact"):
        raise Invalid(f"{artifact_type!r} is none of model-artifact, metrics-artifact", field=f"{field}.artifactType")
    given = {key: value for key, value in raw.items() if value is not None}
    properties = tag_properties(given.get("customProperties", {}), field=f"{field}.customProperties")
    return {**given, "artifactType": artifact_type, "customProperties": properties}


@cache
def license_names() -> dict[str, str]:
    """Lower-cased licence id -> name for people: SPDX names and the overrides of spec plugins.md 4.3."""
    text = resources.files(__package__).joinpath("licenses.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return {**table["spdx"], **table["overrides"]}


def name_license(model: CatalogModel) -> CatalogModel:
    """`apache-2.0` -> `Apache 2.0`; the id stays in `licenseId`, so that both can be filtered on."""
    given = model.license.strip()
    if not given:
        return model
    return msgspec.structs.replace(
        model, license=license_names().get(given.lower(), given), license_id=model.license_id or given
    )


plugin = Plugin(
    name="model",
    display_name="Models",
    description="Machine learning models",
    icon="model",
    section="models",
    source_types=(*SOURCE_TYPES, "hf"),
    kind=Kind(
        name="CatalogModel",
        plural="models",
        entity=CatalogModel,
        display_name="Model",
        noun="model",
        slashes_in_names=True,
        serves_id=True,
        source_field="source_id",
        source_column=True,
        custom_properties="tagged",
        bare_like_is_substring=False,
        rules=ListRules(
            page_size=10, lenient_page_size=False, size_is_total=False, lenient_order=True, code_errors=True
        ),
        children=(
            ChildKind(
                "artifact",
                "artifacts",
                ModelArtifact | MetricsArtifact,
                (ModelArtifact, MetricsArtifact),
                inline=False,
            ),
        ),
        prepare=tag_artifacts,
        enrich=name_license,
    ),
)
