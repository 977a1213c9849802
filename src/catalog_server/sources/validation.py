"""Is this source fit to be applied? Five layers, each with its own entry in the answer (spec http-api.md 2.7).

For: the body of the validate and apply calls, a mapping that comes straight from JSON. Findings are values, not
exceptions: the client gets all of them with field, message and machine code.
Not for: the sources file (parser.py has the file and line), nor what only a plugin can judge: that comes in as
callbacks and makes up the last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from catalog_server.errors import CatalogError, Invalid
from catalog_server.schema.yaml_reader import Limits, nearest_key, read_document
from catalog_server.sources.globs import check_pattern
from catalog_server.sources.parser import NAME_MAX_LENGTH, id_problem
from catalog_server.sources.paths import WRITE_MAX_BYTES
from catalog_server.sources.redaction import find_credentials

CONTENT_FIELD: Final = "properties.content"
_CONTENT_LIMITS: Final = Limits(max_bytes=WRITE_MAX_BYTES)
_MAX_DEPTH: Final = 64
_SHAPES: Final[Mapping[str, type]] = {
    **{"id": str, "name": str, "type": str, "enabled": bool, "refreshAfterApply": bool},
    **{"labels": list, "includedItems": list, "excludedItems": list, "properties": dict},
}
_SHAPE_NAMES: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    list: "a list of text",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (or doubtful). `layer` is filled in by validate_source."""

    field: str
    message: str
    code: str | None = None
    layer: str = ""


@dataclass(frozen=True, slots=True)
class LayerResult:
    """`valid` means that the layer found nothing, so it is false for warnings too."""

    layer: str
    valid: bool
    errors: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class DetailedValidation:
    valid: bool
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    layer_results: tuple[LayerResult, ...]


SourceInput = Mapping[str, Any]
CheckContent = Callable[[str], Sequence[Finding]]
CheckProvider = Callable[[SourceInput], Sequence[Finding]]


def validate_source(
    given: SourceInput, *, check_content: CheckContent | None = None, check_provider: CheckProvider | None = None
) -> DetailedValidation:
    """Run all layers over `given`; a fault in the first one ends the run.

    `check_content` judges the text of `properties.content` against the plugin's kind, `check_provider` the whole
    source. Without both there is no provider layer: the plugin does not manage sources.
    """
    layers = [_layer("yaml_parse", _content_faults(given))]
    if layers[0].valid:
        layers.append(_layer("strict_fields", _strict_faults(given)))
        layers.append(_layer("semantic", _semantic_faults(given)))
        layers.append(_layer("security_warnings", _security_warnings(given)))
        if check_content is not None or check_provider is not None:
            layers.append(_layer("provider", _provider_faults(given, check_content, check_provider)))
    errors = _flatten(layer for layer in layers if layer.layer != "security_warnings")
    warnings = _flatten(layer for layer in layers if layer.layer == "security_warnings")
    return DetailedValidation(not errors, errors, warnings, tuple(layers))


def _layer(name: str, findings: Iterator[Finding]) -> LayerResult:
    found = tuple(replace(finding, layer=name) for finding in findings)
    return LayerResult(name, not found, found)


def _flatten(layers: Iterator[LayerResult]) -> tuple[Finding, ...]:
    """All findings, the first of each equal (field, message) pair: providers repeat the required-field checks."""
    unique: dict[tuple[str, str], Finding] = {}
    for layer in layers:
        for finding in layer.errors:
            unique.setdefault((finding.field, finding.message), finding)
    return tuple(unique.values())


def _properties(given: SourceInput) -> Mapping[str, Any]:
    properties = given.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _content(given: SourceInput) -> str | None:
    content = _properties(given).get("content")
    return content if isinstance(content, str) else None


def _content_faults(given: SourceInput) -> Iterator[Finding]:
    content = _content(given)
    if content is None:
        return
    try:
        read_document(content.encode(errors="surrogatepass"), file="content", limits=_CONTENT_LIMITS)
    except Invalid as error:
        # The other faults that the reader finds (a key twice, an alias bomb) stop a client just the same.
        message = error.message if "YAML parse error:" in error.message else f"YAML parse error: {error.message}"
        yield Finding(CONTENT_FIELD, message, error.code or "yaml_parse_error")


def _strict_faults(given: SourceInput) -> Iterator[Finding]:
    if not _is_shallow(given):
        yield _invalid_fields(f"nested deeper than {_MAX_DEPTH} levels")
        return
    try:
        msgspec.json.encode(given)
    except (TypeError, ValueError) as error:
        yield Finding("source", f"failed to marshal source config: {type(error).__name__}", "unknown_field")
        return
    for key, value in given.items():
        shape = _SHAPES.get(key)
        if shape is None:
            yield _invalid_fields(f'"{key[:80]}": {nearest_key(key, _SHAPES)}')
        elif value is not None and not _has_shape(value, shape):
            yield _invalid_fields(f'"{key}" must be {_SHAPE_NAMES[shape]}')


def _invalid_fields(problem: str) -> Finding:
    return Finding("source", f"unknown or invalid fields: {problem}", "unknown_field")


def _has_shape(value: Any, shape: type) -> bool:
    if shape is list:
        return isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
    return isinstance(value, Mapping if shape is dict else shape)


def _is_shallow(value: Any) -> bool:
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        node, depth = stack.pop()
        if isinstance(node, Mapping | list | tuple):
            if depth > _MAX_DEPTH:
                return False
            children = node.values() if isinstance(node, Mapping) else node
            stack.extend((child, depth + 1) for child in children)
    return True


def _semantic_faults(given: SourceInput) -> Iterator[Finding]:
    # A value of the wrong type was reported by the strict layer; calling it missing would mislead.
    for field, noun in (("id", "ID"), ("name", "name"), ("type", "type")):
        if given.get(field) is None or given[field] == "":
            yield Finding(field, f"source {noun} is required", f"{field}_required")
    source_id, name = given.get("id"), given.get("name")
    problem = id_problem(source_id) if isinstance(source_id, str) and source_id else None
    if problem is not None:
        yield Finding("id", problem, "id_invalid")
    if isinstance(name, str) and len(name) > NAME_MAX_LENGTH:
        yield Finding("name", f"source name must be {NAME_MAX_LENGTH} characters or fewer", "name_too_long")
    yield from _glob_faults(given, "included")
    yield from _glob_faults(given, "excluded")


def _glob_faults(given: SourceInput, which: str) -> Iterator[Finding]:
    patterns = given.get(f"{which}Items")
    for index, pattern in enumerate(patterns if isinstance(patterns, list | tuple) else ()):
        try:
            check_pattern(str(pattern), index, which)
        except Invalid as error:
            yield Finding(f"{which}Items[{index}]", error.reason, error.code)


def _security_warnings(given: SourceInput) -> Iterator[Finding]:
    properties = {key: value for key, value in _properties(given).items() if key != "content"}
    for path, key in find_credentials(properties):
        message = (
            f'property "{key}" appears to contain an inline credential;'
            " consider a SecretRef ({name, key}) that names a Kubernetes Secret instead"
        )
        yield Finding(f"properties.{path}", message, "inline_credential")


def _provider_faults(
    given: SourceInput, check_content: CheckContent | None, check_provider: CheckProvider | None
) -> Iterator[Finding]:
    content = _content(given)
    try:
        if check_provider is not None:
            yield from check_provider(given)
        if check_content is not None and content is not None:
            yield from check_content(content)
    except CatalogError as error:
        code = error.code if isinstance(error, Invalid) and error.code else "provider_error"
        yield Finding(error.field or "source", f"provider validation error: {error.message}", code)
