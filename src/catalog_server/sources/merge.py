"""Several sources files to one configuration: base first, overrides after it, later wins.

For: the table of spec http-api.md 2.2. Pure: no files, no clock. Values are replaced whole, never merged deeply.
Sources are put over each other by namespace and id, so that no override reaches into another tenant's source unnamed.
Not for: reading (parser.py). Label names stay unique across files without a check, because a later list of labels
replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Final, TypeVar

from catalog_server.errors import Invalid
from catalog_server.scope import DEFAULT_NAMESPACE
from catalog_server.sources.config import (
    API_VERSION,
    KIND,
    InvalidConfig,
    NamedQueries,
    ParsedConfig,
    ParsedSection,
    ParsedSource,
    Section,
    Source,
    SourcesConfig,
    shown_identity,
)

_SHOWN_NAMESPACES: Final = 3
_Value = TypeVar("_Value")


def merge_configs(configs: Sequence[ParsedConfig]) -> SourcesConfig:
    """Merge `configs` in order. No configs make an empty configuration. Raises InvalidConfig.

    The required fields are checked here, because an override may be as little as `{id: x, enabled: false}`.
    """
    if not configs:
        return SourcesConfig()
    merged = reduce(overlay, configs)
    errors = [error for section in merged.sections.values() for error in _missing_fields(section)]
    if errors:
        raise InvalidConfig(errors)
    return SourcesConfig(
        api_version=merged.api_version or API_VERSION,
        kind=merged.kind or KIND,
        sections={key: _complete_section(section) for key, section in merged.sections.items()},
        files=tuple(config.file for config in configs),
    )


def overlay(base: ParsedConfig, override: ParsedConfig) -> ParsedConfig:
    """`base` with what `override` says put over it; base order first, then what is new."""
    sections = dict(base.sections)
    for key, section in override.sections.items():
        sections[key] = _overlay_section(sections[key], section) if key in sections else section
    return ParsedConfig(
        file=base.file,
        api_version=override.api_version or base.api_version,
        kind=override.kind or base.kind,
        sections=sections,
        warnings=base.warnings + override.warnings,
    )


def _overlay_section(base: ParsedSection, override: ParsedSection) -> ParsedSection:
    sources = {source.identity: source for source in base.sources}
    for source in override.sources:
        below = sources.get(source.identity)
        sources[source.identity] = source if below is None else _overlay_source(below, source)
    return ParsedSection(
        key=base.key,
        sources=tuple(sources.values()),
        labels=_given(override.labels, base.labels),
        named_queries=_overlay_queries(base.named_queries, override.named_queries),
        query_namespaces={**base.query_namespaces, **override.query_namespaces},
    )


def _overlay_source(base: ParsedSource, override: ParsedSource) -> ParsedSource:
    return replace(
        base,
        # Relative paths in the properties belong to the file that wrote them.
        origin=base.origin if override.properties is None else override.origin,
        name=override.name or base.name,
        type=override.type or base.type,
        enabled=_given(override.enabled, base.enabled),
        labels=_given(override.labels, base.labels),
        properties=_given(override.properties, base.properties),
        included=_given(override.included, base.included),
        excluded=_given(override.excluded, base.excluded),
    )


def _overlay_queries(base: NamedQueries | None, override: NamedQueries | None) -> NamedQueries | None:
    if base is None or override is None:
        return _given(override, base)
    return {**base, **{name: {**base.get(name, {}), **fields} for name, fields in override.items()}}


def _given(override: _Value | None, base: _Value | None) -> _Value | None:
    return base if override is None else override


def _missing_fields(section: ParsedSection) -> Iterator[Invalid]:
    complete: dict[str, list[ParsedSource]] = {}
    for source in section.sources:
        if source.id and source.name and source.type:
            complete.setdefault(source.id, []).append(source)
    for source in section.sources:
        if source.id and source.name and source.type:
            continue
        where = f"catalogs.{section.key}: source {shown_identity(*source.identity)}"
        hint = _namespace_hint(source, complete.get(source.id, ()))
        fields = {"id": ("ID", source.id), "name": ("name", source.name), "type": ("type", source.type)}
        for field, (noun, value) in fields.items():
            if not value:
                message = f"{where}: source {noun} is required{hint}"
                yield Invalid(message, field=field, location=source.location, code=f"{field}_required")
                hint = ""  # once is enough


def _namespace_hint(source: ParsedSource, others: Sequence[ParsedSource]) -> str:
    """For an override that forgot its namespace: where in the files before it the id exists."""
    found = [other.identity[0] for other in others if other.location.file != source.location.file]
    if not found:
        return ""
    shown = ", ".join(found[:_SHOWN_NAMESPACES]) + (", ..." if len(found) > _SHOWN_NAMESPACES else "")
    return f'; the id exists in namespace {shown}: say "namespace: {found[0]}" to override it'


def _complete_section(section: ParsedSection) -> Section:
    sources = tuple(_complete_source(source) for source in section.sources)
    queries = section.named_queries or {}
    return Section(section.key, sources, section.labels or (), queries, section.query_namespaces)


def _complete_source(source: ParsedSource) -> Source:
    return Source(
        id=source.id,
        name=source.name or "",
        type=source.type or "",
        origin=source.origin,
        location=source.location,
        enabled=source.enabled is not False,
        labels=source.labels or (),
        properties=source.properties or {},
        included=source.included or (),
        excluded=source.excluded or (),
        namespace=source.namespace or DEFAULT_NAMESPACE,
    )
