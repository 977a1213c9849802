"""The commands of a plugin, made from what the server says of it. A new plugin has them without a change here."""

from __future__ import annotations

from typing import Any, Final

import click

from catalog_server.cli.client.commands.actions import action_command
from catalog_server.cli.client.commands.entity_listing import filters_view, get_entity, list_entities, list_options
from catalog_server.cli.client.commands.refresh import start_refresh
from catalog_server.cli.client.discovery import Entity, Plugin
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Table, yes_or_no
from catalog_server.cli.client.text import escape
from catalog_server.cli.client.views import View

_ACTION_COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("Display Name", "displayName"),
    Column("Scope", "scope"),
    Column("Dry Run", lambda action: yes_or_no(action.get("supportsDryRun"))),
    Column("Destructive", lambda action: yes_or_no(action.get("destructive"))),
    Column("Description", "description"),
)


class PluginGroup(Group):
    """`plugin NAME ...`: plugins by name, also one that is named like a command."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        session: Session = ctx.find_root().obj
        return plugin_group(session.discovery.get(cmd_name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        session: Session = ctx.find_root().obj
        return [one.name for one in session.discovery.seen()]

    def short_help_of(self, name: str) -> str:
        return ""


plugin = PluginGroup("plugin", help="Commands of one plugin, also of one that is named like a command.")


def plugin_group(found: Plugin) -> Group:
    """`PLUGIN ...`: a group for each kind of entity, `sources` and `actions`."""
    group = Group(found.name, help=escape(str(found.document.get("description") or found.display_name)))
    for entity in found.entities:
        group.add_command(_entity_group(entity), entity.plural)
    group.add_command(_sources_group(found))
    group.add_command(_actions_command(found))
    return group


def _entity_group(entity: Entity) -> Group:
    group = Group(entity.plural, help=escape(f"{entity.document.get('description') or entity.kind}."))
    group.add_command(_list_command(entity))
    group.add_command(_get_command(entity))
    group.add_command(_filters_command(entity))
    for action in entity.actions:
        group.add_command(action_command(entity, action))
    return group


def _list_command(entity: Entity) -> click.Command:
    @click.command("list", cls=Command, help=escape(f"List {entity.plural}."))
    @list_options
    @click.pass_obj
    def run(session: Session, /, **options: Any) -> View:
        return list_entities(session, entity, options)

    return run


def _get_command(entity: Entity) -> click.Command:
    @click.command("get", cls=Command, help=escape(f"Show one {entity.noun}."))
    @click.argument("name")
    @click.option("--source", metavar="ID", help="The source, where several have an entity of this name.")
    @click.pass_obj
    def run(session: Session, /, name: str, source: str | None) -> View:
        return get_entity(session, entity, name, source)

    return run


def _filters_command(entity: Entity) -> click.Command:
    @click.command("filters", cls=Command, help=escape(f"Show what {entity.plural} can be filtered by."))
    @click.pass_obj
    def run(session: Session, /) -> View:
        return filters_view(session, entity)

    return run


def _sources_group(found: Plugin) -> Group:
    from catalog_server.cli.client.commands.sources import sources_view

    group = Group("sources", help="Where the entities come from. More: catalog-cli sources.")

    @group.command("list", cls=Command, help="List the sources.")
    @click.pass_obj
    def list_command(session: Session, /) -> View:
        return sources_view(session, [found])

    if found.is_refreshable:

        @group.command("refresh", cls=Command, help="Load all sources anew, or one.")
        @click.argument("source", required=False)
        @click.option("--wait", is_flag=True, help="Wait until it is done; exit status 1 unless it succeeds.")
        @click.pass_obj
        def refresh_command(session: Session, /, source: str | None, wait: bool) -> View:
            return start_refresh(session, found, source, is_awaited=wait)

    return group


def _actions_command(found: Plugin) -> click.Command:
    @click.command("actions", cls=Command, help="Show what can be done to entities and sources; nothing is asked.")
    @click.pass_obj
    def run(session: Session, /) -> View:
        entries = list(found.actions)
        table = Table(_ACTION_COLUMNS, entries, "No actions found.")
        document = {"actions": entries, "count": len(entries)}
        return View(document, [table], [str(one.get("id")) for one in entries], entries)

    return run
