"""Capability documents V1 and V2, UI and CLI hints: all derived from the kind, so that what is advertised works.

Shapes: spec http-api.md 4.2 (V1), 4.5 (V2) and 4.6 (UI hints).
"""

from __future__ import annotations

from typing import Any

from catalog_server.catalog.actions import ACTIONS
from catalog_server.catalog.plugin import Plugin
from catalog_server.schema.fields import SchemaField
from catalog_server.schema.kind import Kind

SCHEMA_VERSION = "v1"
Document = dict[str, Any]
_OPERATORS = {
    "text": ["=", "!=", "LIKE"],
    "select": ["=", "!="],
    "number": ["=", ">", "<", ">=", "<="],
    "boolean": ["="],
}
_COLUMN_TYPES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


def capabilities_v1(plugin: Plugin) -> Document:
    """The short list of what a plugin can do."""
    return {
        "entityKinds": [plugin.kind.name],
        "listEntities": True,
        "getEntity": True,
        "listSources": True,
        "artifacts": any(child.served for child in plugin.kind.children),
    }


def capabilities_v2(plugin: Plugin, governance: Document) -> Document:
    """The full description of a plugin, its entity, its fields and its sources. `governance`: the same for all."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "plugin": {
            "name": plugin.name,
            "version": plugin.version,
            "description": plugin.description,
            "displayName": plugin.display_name,
            "icon": plugin.icon,
        },
        "entities": [{**_entity(plugin), "governance": governance}],
        "sources": {"manageable": True, "refreshable": True, "types": list(plugin.source_types)},
        "actions": [action.document for action in ACTIONS],
    }


def management(plugin: Plugin) -> Document:
    """Which management routes the plugin has."""
    return {"sourceManager": True, "refresh": True, "diagnostics": True, "actions": True}


def ui_hints(plugin: Plugin) -> Document:
    """V1 hints for generic clients."""
    kind = plugin.kind
    return {
        "listColumns": [
            {"field": f.name, "label": f.label, "sortable": f.mark.sortable, "filterable": f.mark.filter}
            for f in _columns(kind)
        ],
        "detailFields": [
            {"field": f.name, "label": f.label, "section": f.mark.section} for f in kind.fields if f.mark.section
        ],
        "identityField": "name",
        "displayNameField": "name",
        "descriptionField": "description",
    }


def cli_hints(plugin: Plugin) -> Document:
    kind = plugin.kind
    columns = [f.name for f in kind.fields if f.mark.cli] + ([kind.source_field] if kind.source_column else [])
    return {
        "defaultColumns": columns,
        "sortField": "name",
        "filterableFields": [field["name"] for field in _filter_fields(kind)],
    }


def _entity(plugin: Plugin) -> Document:
    kind = plugin.kind
    return {
        "kind": kind.name,
        "plural": kind.plural,
        "displayName": kind.display_name,
        "description": kind.description or plugin.description,
        "endpoints": {
            "list": plugin.list_path,
            "get": get_path(plugin),
            "action": f"{plugin.list_path}/{{name}}:action",
        },
        "fields": {
            "columns": [*map(_column, _columns(kind)), *_source_column(kind)],
            "filterFields": _filter_fields(kind),
            "detailFields": [_detail(f) for f in kind.fields if f.mark.section],
        },
        "uiHints": _entity_hints(plugin),
        "actions": [action.id for action in ACTIONS if action.scope == "asset"],
    }


def get_path(plugin: Plugin) -> str:
    """Template of the native get route."""
    if plugin.kind.slashes_in_names:
        return f"{plugin.base_path}/sources/{{source_id}}/{plugin.kind.plural}/{{name}}"
    return f"{plugin.list_path}/{{name}}"


def _columns(kind: Kind) -> list[SchemaField]:
    return [f for f in kind.fields if f.mark.width]


def _column(field: SchemaField) -> Document:
    return {
        "name": field.name,
        "displayName": field.label,
        "path": field.path,
        "type": "array" if field.array else _COLUMN_TYPES[field.type],
        "sortable": field.mark.sortable,
        "width": field.mark.width,
    }


def _source_column(kind: Kind) -> list[Document]:
    if not kind.source_column:
        return []
    name = kind.source_field
    return [{"name": name, "displayName": "Source", "path": name, "type": "string", "sortable": True, "width": "md"}]


def _filter_fields(kind: Kind) -> list[Document]:
    found = [_filter_field(f) for f in kind.fields if f.mark.filter]
    if kind.source_column:
        found.append({"name": kind.source_field, "displayName": "Source", "type": "text", "operators": ["=", "!="]})
    return found


def _filter_field(field: SchemaField) -> Document:
    by_type = {"string": "text", "boolean": "boolean"}
    kind = "select" if field.mark.options else by_type.get(field.type, "number")
    document: Document = {"name": field.name, "displayName": field.label, "type": kind}
    if field.mark.options:
        document["options"] = list(field.mark.options)
    return {**document, "operators": _OPERATORS[kind]}


def _detail(field: SchemaField) -> Document:
    kind = "array" if field.array else _COLUMN_TYPES.get(field.type, "object")
    return {
        "name": field.name,
        "displayName": field.label,
        "path": field.path,
        "type": kind,
        "section": field.mark.section,
    }


def _entity_hints(plugin: Plugin) -> Document:
    kind = plugin.kind
    hints: Document = {"icon": plugin.icon}
    if kind.color:
        hints["color"] = kind.color
    return {
        **hints,
        "nameField": "name",
        "detailSections": list(kind.sections),
        "listView": {
            "titleField": "name",
            "columns": [
                {"field": f.name, "label": f.label, "display": _display(f), "width": f.mark.width}
                for f in _columns(kind)
            ],
            "defaultSort": {"field": "name", "direction": "asc"},
        },
        "detailView": {"sections": [_section(kind, section) for section in kind.sections]},
        "search": {
            "searchableFields": [f.path for f in kind.fields if f.mark.search],
            "facets": [{"field": f.name, "display": _display(f)} for f in kind.fields if f.mark.facet],
        },
    }


def _section(kind: Kind, section: str) -> Document:
    fields = [f for f in kind.fields if f.mark.section == section]
    return {"title": section, "fields": [{"field": f.path, "label": f.label, "display": _display(f)} for f in fields]}


def _display(field: SchemaField) -> str:
    if field.mark.display:
        return field.mark.display
    if field.path == "name":
        return "link"
    if field.mark.options:
        return "badge"
    return "tags" if field.array else "text"
