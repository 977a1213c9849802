"""Lists of entities and one entity in detail, shown as the plugin describes them. For entities.py and dynamic.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from catalog_server.cli.client.commands.options import MAX_PAGE_SIZE, fetch_list, page_options
from catalog_server.cli.client.discovery import Entity
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table, at_path
from catalog_server.cli.client.views import View

F = TypeVar("F", bound=Callable[..., Any])
_NO_SECTION = "General"
_FALLBACK_COLUMNS = 5
_FALLBACK_KEYS = ("name", "description")


def list_options(command: F) -> F:
    """What to list, and in which order."""
    command = page_options(command)
    for option in reversed(
        (
            click.option("--filter", "filter_query", metavar="QUERY", help="For example \"license = 'MIT'\"."),
            click.option("--query", "-q", metavar="WORDS", help="Words that all have to occur."),
            click.option("--named-query", metavar="NAME", help="A filter that the configuration gives a name."),
            click.option("--source", metavar="ID", help="Entities of this source; several separated by commas."),
            click.option("--source-label", metavar="LABEL", help="Entities of sources with this label."),
            click.option("--order-by", metavar="FIELD", help="Field to order by."),
            click.option("--sort", type=click.Choice(("ASC", "DESC"), case_sensitive=False), help="Direction."),
        )
    ):
        command = option(command)
    return command


def list_entities(session: Session, entity: Entity, options: Mapping[str, Any]) -> View:
    """The list that `list_options` ask for."""
    query = [
        ("filterQuery", options["filter_query"]),
        ("q", options["query"]),
        ("namedQuery", options["named_query"]),
        ("source", options["source"]),
        ("sourceLabel", options["source_label"]),
        ("orderBy", options["order_by"]),
        ("sortOrder", options["sort"]),
    ]
    found = fetch_list(session, entity.list_path, query, entity.plural, paging_of(options), MAX_PAGE_SIZE)
    names = [str(one.get("name", "")) for one in found.entries]
    table = Table(columns_of(entity, found.entries), found.entries, f"No {entity.plural} found.")
    return View(found.document, [table], names, found.entries, found.notes)


def get_entity(session: Session, entity: Entity, name: str, source: str | None) -> View:
    """One entity, in the sections that the plugin has for it."""
    path, query = entity.get_path(name, source or "")
    document = session.get(path, list(query.items()))
    parts = detail_parts(entity, document, is_whole=session.form == "wide")
    return View(document, parts, [str(document.get("name", name))])


def filters_view(session: Session, entity: Entity) -> View:
    """What the entities can be filtered by: fields with their types and values."""
    document = session.get(f"{entity.list_path}/filter_options")
    rows = [{"field": field, **found} for field, found in (document.get("filters") or {}).items()]
    columns = (
        Column("Field", "field", is_whole=True),
        Column("Type", "type"),
        Column("Values", lambda row: row.get("values") or _show_range(row.get("range"))),
    )
    return View(document, [Table(columns, rows, "Nothing to filter by.")], [str(row["field"]) for row in rows], rows)


def paging_of(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in ("limit", "wants_all", "page_size", "token")}


def columns_of(entity: Entity, entries: Sequence[Any]) -> list[Column]:
    """The plugin's columns, the name whole; without any, the first keys of the first entity."""
    described = [one for one in entity.columns if one.get("path")]
    if described:
        return [
            Column(str(one.get("displayName") or one["path"]), str(one["path"]), is_whole=one["path"] == "name")
            for one in described
        ]
    keys = list(entries[0]) if entries and isinstance(entries[0], dict) else []
    ordered = [*(key for key in _FALLBACK_KEYS if key in keys), *(key for key in keys if key not in _FALLBACK_KEYS)]
    return [Column(key, key, is_whole=key == "name") for key in ordered[:_FALLBACK_COLUMNS]]


def detail_parts(entity: Entity, document: Mapping[str, Any], *, is_whole: bool) -> list[Part]:
    """The plugin's sections; then its columns that are in none of them; with `is_whole` whatever else there is."""
    sections: dict[str, list[tuple[str, Any]]] = {}
    shown: set[str] = set()
    for one in [*entity.details, *entity.columns]:
        path = str(one.get("path") or one.get("name"))
        if path not in shown:
            shown.add(path)
            label = str(one.get("displayName") or path)
            sections.setdefault(str(one.get("section") or _NO_SECTION), []).append((label, at_path(document, path)))
    heads = {path.partition(".")[0] for path in shown}
    others = [(key, value) for key, value in document.items() if key not in heads]
    if not sections:
        return [Fields(others)]
    if is_whole and others:
        sections["Other"] = others
    return [Fields(fields, heading) for heading, fields in sections.items()]


def _show_range(found: Mapping[str, Any] | None) -> str:
    return f"{found.get('min')} to {found.get('max')}" if found else ""
