"""`entities` and `assets`: the entities of any plugin, named by arguments; and of all plugins at once."""

from __future__ import annotations

from typing import Any, Final

import click

from catalog_server.cli.client.commands.entity_listing import (
    filters_view,
    get_entity,
    list_entities,
    list_options,
    paging_of,
)
from catalog_server.cli.client.commands.options import (
    MAX_PAGE_SIZE,
    complete_plugins,
    fetch_list,
    page_options,
    plugin_option,
)
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table
from catalog_server.cli.client.views import View

_ASSETS: Final = "/api/assets"
_ASSET_COLUMNS: Final = (
    Column("Kind", "kind"),
    Column("Name", "metadata.name", is_whole=True),
    Column("Source", "metadata.sourceRef.sourceId"),
    Column("Description", "metadata.description"),
    Column("UID", "metadata.uid", is_whole=True, is_wide=True),
)

entities = Group("entities", help="Entities of any plugin.")
assets = Group("assets", help="Entities of all plugins in one list and one shape.")


@entities.command(
    "list",
    cls=Command,
    examples=[
        "entities list mcp",
        "entities list mcp mcpservers --filter \"deploymentMode = 'local' AND toolCount > 5\"",
        "entities list model --order-by name --sort DESC --limit 3",
        "entities list skills -o name --all",
    ],
)
@click.argument("plugin", shell_complete=complete_plugins)
@click.argument("plural", default="")
@list_options
@click.pass_obj
def list_command(session: Session, /, plugin: str, plural: str, **options: Any) -> View:
    """List the entities of a plugin. PLURAL is needed where it has several kinds."""
    return list_entities(session, session.discovery.get(plugin).entity(plural), options)


@entities.command(
    "get", cls=Command, examples=["entities get skills web-search", "entities get skills web-search -o yaml"]
)
@click.argument("plugin", shell_complete=complete_plugins)
@click.argument("words", nargs=-1, required=True, metavar="[PLURAL] NAME")
@click.option("--source", metavar="ID", help="The source, where several have an entity of this name.")
@click.pass_obj
def get_command(session: Session, /, plugin: str, words: tuple[str, ...], source: str | None) -> View:
    """Show one entity."""
    if len(words) > 2:
        raise click.UsageError("one name is shown at a time; put a name with spaces into quotes")
    plural, name = words if len(words) == 2 else ("", words[0])
    return get_entity(session, session.discovery.get(plugin).entity(plural), name, source)


@entities.command("filters", cls=Command, examples=["entities filters mcp"])
@click.argument("plugin", shell_complete=complete_plugins)
@click.argument("plural", default="")
@click.pass_obj
def filters_command(session: Session, /, plugin: str, plural: str) -> View:
    """Show what entities can be filtered by, and the values that there are."""
    return filters_view(session, session.discovery.get(plugin).entity(plural))


@entities.command(
    "search", cls=Command, examples=["entities search kubernetes", "entities search postgres --kind McpServer"]
)
@click.argument("words", nargs=-1, required=True)
@plugin_option(help="Entities of this plugin only.")
@click.option("--kind", metavar="KIND", help="Entities of this kind only.")
@page_options
@click.pass_obj
def search(session: Session, /, words: tuple[str, ...], plugin: str | None, kind: str | None, **options: Any) -> View:
    """Find entities of all plugins that hold all these words, whole or in part."""
    query = [("q", " ".join(words)), ("plugin", plugin), ("kind", kind)]
    return _list_assets(session, query, options)


@assets.command(
    "list",
    cls=Command,
    examples=["assets list --limit 5", "assets list --kind Agent -q review", "assets list --plugin mcp"],
)
@plugin_option(help="Assets of this plugin only.")
@click.option("--kind", metavar="KIND", help="Assets of this kind only.")
@click.option("--source", metavar="ID", help="Assets of this source only.")
@click.option("--query", "-q", metavar="WORDS", help="Words that all have to occur.")
@click.option("--filter", "filter_query", metavar="QUERY", help="Filter on fields that all kinds have.")
@click.option("--order-by", metavar="FIELD", help="Field to order by.")
@click.option("--sort", type=click.Choice(("ASC", "DESC"), case_sensitive=False), help="Direction.")
@page_options
@click.pass_obj
def list_assets(session: Session, /, plugin: str | None, kind: str | None, source: str | None, **options: Any) -> View:
    """List assets of all kinds."""
    query = [
        ("plugin", plugin),
        ("kind", kind),
        ("sourceId", source),
        ("q", options["query"]),
        ("filterQuery", options["filter_query"]),
        ("orderBy", options["order_by"]),
        ("sortOrder", options["sort"]),
    ]
    return _list_assets(session, query, options)


@assets.command("get", cls=Command, examples=["assets get Skill web-search"])
@click.argument("kind")
@click.argument("name")
@plugin_option(help="The plugin, where several have this kind.")
@click.option("--source", metavar="ID", help="The source, where several have an asset of this name.")
@click.pass_obj
def get_asset(session: Session, /, kind: str, name: str, plugin: str | None, source: str | None) -> View:
    """Show one asset."""
    query = [(key, value) for key, value in (("plugin", plugin), ("sourceId", source)) if value]
    document = session.get(f"{_ASSETS}/{segment(kind)}/{segment(name)}", query)
    parts: list[Part] = [
        Fields([("Kind", document.get("kind")), *(document.get("metadata") or {}).items()]),
        *(Fields(list(document[key].items()), key.title()) for key in ("spec", "status") if document.get(key)),
    ]
    return View(document, parts, [name])


def _list_assets(session: Session, query: list[tuple[str, str | None]], options: dict[str, Any]) -> View:
    found = fetch_list(session, _ASSETS, query, "items", paging_of(options), MAX_PAGE_SIZE)
    names = [str((one.get("metadata") or {}).get("name", "")) for one in found.entries]
    table = Table(_ASSET_COLUMNS, found.entries, "No assets found.")
    return View(found.document, [table], names, found.entries, found.notes)
