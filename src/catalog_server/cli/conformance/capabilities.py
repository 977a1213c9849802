"""A: the capabilities document says all that a client needs to build lists, filters and details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from catalog_server.cli.conformance.checks import Skipped, catalog_check, require, site_check
from catalog_server.cli.conformance.subject import Catalog, Site

_COLUMN_TYPES = {"string", "integer", "number", "boolean", "array", "object", "date", "datetime"}


def _texts(where: str, described: Mapping[str, Any], *names: str) -> None:
    for name in names:
        found = described.get(name)
        require(isinstance(found, str) and found, f"{where}: `{name}` is {found!r}, not a text")


@catalog_check("A", "document")
def document(catalog: Catalog) -> None:
    """The document can be fetched and names the plugin, its version and what it is."""
    found = catalog.capabilities
    _texts(catalog.name, found, "schemaVersion")
    plugin = found.get("plugin") or {}
    _texts(f"{catalog.name}: plugin", plugin, "name", "version", "description")
    require(plugin["name"] == catalog.name, f"plugin.name is {plugin['name']!r}, listed as {catalog.name!r}")


@catalog_check("A", "entities")
def entities(catalog: Catalog) -> None:
    """Each entity has kind, plural, display name, and where it is listed and got."""
    for entity in catalog.entities:
        where = f"{catalog.name}: {entity.kind}"
        _texts(where, entity.described, "kind", "plural", "displayName")
        _texts(f"{where}: endpoints", entity.described.get("endpoints") or {}, "list", "get")


@catalog_check("A", "columns")
def columns(catalog: Catalog) -> None:
    """Each entity has columns with name, display name, path and type."""
    for entity in catalog.entities:
        found = entity.fields("columns")
        require(found, f"{entity.kind} has no column")
        for column in found:
            _texts(f"{entity.kind}: column {column.get('name')}", column, "name", "displayName", "path", "type")
            require(column["type"] in _COLUMN_TYPES, f"{entity.kind}: column type {column['type']!r} is not known")


@catalog_check("A", "filter-fields")
def filter_fields(catalog: Catalog) -> None:
    """Each filter field has name and type; one with choices has the choices."""
    for entity in catalog.entities:
        for one in entity.fields("filterFields"):
            where = f"{entity.kind}: filter field {one.get('name')}"
            _texts(where, one, "name", "type")
            require(one.get("operators"), f"{where} has no operators")


@catalog_check("A", "detail-fields")
def detail_fields(catalog: Catalog) -> None:
    """Each detail field has name and path."""
    for entity in catalog.entities:
        for one in entity.fields("detailFields"):
            _texts(f"{entity.kind}: detail field {one.get('name')}", one, "name", "path")


@catalog_check("A", "names-once")
def names_once(catalog: Catalog) -> None:
    """No column, filter field or detail field is named twice."""
    for entity in catalog.entities:
        for group in ("columns", "filterFields", "detailFields"):
            names = [str(one.get("name")) for one in entity.fields(group)]
            twice = sorted({name for name in names if names.count(name) > 1})
            require(not twice, f"{entity.kind}: {group} has {twice} more than once")


@catalog_check("A", "entity-actions")
def entity_actions(catalog: Catalog) -> None:
    """The actions of an entity are described, and are those of assets."""
    scopes = {str(action.get("id")): action.get("scope") for action in catalog.actions}
    for entity in catalog.entities:
        for name in entity.described.get("actions") or ():
            require(name in scopes, f"{entity.kind}: action {name!r} is not described")
            require(scopes[name] == "asset", f"{entity.kind}: action {name!r} is one of a {scopes[name]}")


@catalog_check("A", "actions")
def actions(catalog: Catalog) -> None:
    """Each action has id, display name, description, and a scope: source or asset."""
    for action in catalog.actions:
        where = f"action {action.get('id')}"
        _texts(where, action, "id", "displayName", "description")
        require(action.get("scope") in ("source", "asset"), f"{where}: scope is {action.get('scope')!r}")
        parameters = action.get("parameters")
        require(parameters is None or isinstance(parameters, list | dict), f"{where}: parameters are {parameters!r}")


@catalog_check("A", "inline")
def inline(catalog: Catalog) -> None:
    """`/api/plugins` carries the same document inline."""
    found = catalog.plugin.get("capabilitiesV2")
    require(isinstance(found, dict), f"{catalog.name}: no capabilitiesV2 in /api/plugins")
    assert isinstance(found, dict)
    require(found.get("schemaVersion") == catalog.capabilities.get("schemaVersion"), "schemaVersion differs inline")
    require(len(found.get("entities") or ()) == len(catalog.entities), "the number of entities differs inline")


@catalog_check("A", "ui-hints")
def ui_hints(catalog: Catalog) -> None:
    """Whatever hints for user interfaces refer to is a field that the entity has."""
    is_any = False
    for entity in catalog.entities:
        hints = entity.described.get("uiHints")
        if not hints:
            continue
        is_any = True
        known = {
            str(one.get(key))
            for group in ("columns", "filterFields", "detailFields")
            for one in entity.fields(group)
            for key in ("name", "path")
        }
        for named in _referred(hints):
            require(named in known, f"{entity.kind}: hints name the field {named!r}, which is not described")
    if not is_any:
        raise Skipped("there are no hints")


def _referred(hints: Mapping[str, Any]) -> Iterable[str]:
    listed, detailed = hints.get("listView") or {}, hints.get("detailView") or {}
    yield from filter(None, (hints.get("nameField"), listed.get("titleField")))
    yield from (str(one["field"]) for one in listed.get("columns") or ())
    if listed.get("defaultSort"):
        yield str(listed["defaultSort"]["field"])
    for section in detailed.get("sections") or ():
        yield from (str(one["field"]) for one in section.get("fields") or ())
    yield from (str(one["field"]) for one in (hints.get("search") or {}).get("facets") or ())


@site_check("A", "expected-kinds")
def expected_kinds(site: Site) -> None:
    """The kinds that were asked for are there."""
    wanted = set(site.expectations.kinds)
    if not wanted:
        raise Skipped("no kind was asked for")
    found = {str(kind) for plugin in site.plugins for kind in plugin.get("entityKinds") or ()}
    require(wanted <= found, f"missing: {', '.join(sorted(wanted - found))}")
