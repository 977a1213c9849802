"""Several sources files to one configuration: base first, overrides after it, later wins.

For: the table of spec http-api.md 2.2. Pure: no files, no clock. Values are replaced whole, never merged deeply.
Not for: reading (parser.py). Label names stay unique across files without a check, because a later list of labels
replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TypeVar

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
)

_Value = TypeVar("_Value")


def merge_configs(configs: Sequence[ParsedConfig]) -> SourcesConfig:
    """Merge `configs` in order. No configs make an empty configuration. Raises InvalidConfig.

    The required fields are checked here, because an override may be as little as `{id: x, enabled: false}`.
    """
    if not configs:
        return SourcesConfig()
    merged = reduce(overlay, configs)
    errors: list[Invalid] = []
    for section in merged.sections.values():
        for source in section.sources:
            errors += _missing_fields(section.key, source)
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
    sources = {source.id: source for source in base.sources}
    for source in override.sources:
        sources[source.id] = _overlay_source(sources[source.id], source) if source.id in sources else source
    return ParsedSection(
        key=base.key,
        sources=tuple(sources.values()),
        labels=_given(override.labels, base.labels),
        named_queries=_overlay_queries(base.named_queries, override.named_queries),
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
        namespace=_given(override.namespace, base.namespace),
    )


def _overlay_queries(base: NamedQueries | None, override: NamedQueries | None) -> NamedQueries | None:
    if base is None or override is None:
        return _given(override, base)
    return {**base, **{name: {**base.get(name, {}), **fields} for name, fields in override.items()}}


def _given(override: _Value | None, base: _Value | None) -> _Value | None:
    return base if override is None else override


def _missing_fields(section: str, source: ParsedSource) -> list[Invalid]:
    fields: Mapping[str, tuple[str | None, str]] = {
        "id": (source.id, "source ID is required"),
        "name": (source.name, "source name is required"),
        "type": (source.type, "source type is required"),
    }
    where = f'catalogs.{section}: source "{source.id[:80]}"'
    return [
        Invalid(f"{where}: {message}", field=field, location=source.location, code=f"{field}_required")
        for field, (value, message) in fields.items()
        if not value
    ]


def _complete_section(section: ParsedSection) -> Section:
    sources = tuple(_complete_source(source) for source in section.sources)
    return Section(section.key, sources, section.labels or (), section.named_queries or {})


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
