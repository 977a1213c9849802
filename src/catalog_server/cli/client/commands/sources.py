"""`sources`: the configured sources of plugins: look, switch, delete, roll back. applying.py has the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from catalog_server.cli.client.commands.options import api_version_option, check_api_version, plugin_option
from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import entries_of, segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table, yes_or_no
from catalog_server.cli.client.views import View, list_view, record_view

_COLUMNS: Final = (
    Column("Plugin", "plugin"),
    Column("ID", "id", is_whole=True),
    Column("Name", "name"),
    Column("Type", "type"),
    Column("Enabled", lambda source: yes_or_no(source.get("enabled"))),
    Column("State", "status.state"),
    Column("Entities", "status.entityCount"),
    Column(
        "Last Refresh",
        lambda source: (source.get("status") or {}).get("lastRefreshTime") or "-",
        is_whole=True,
        is_spare=True,
    ),
    Column("Labels", "labels", is_wide=True),
    Column("Error", "status.error", is_wide=True),
)
_REVISION_COLUMNS: Final = (
    Column("Version", "version", is_whole=True),
    Column("Time", "timestamp"),
    Column("Size", "size"),
    Column("Current", lambda revision: "*" if revision.get("current") else ""),
    Column("Author", "author"),
    Column("Reason", "reason"),
    Column("Hash", "hash", is_whole=True, is_wide=True),
)

sources = Group(
    "sources",
    help="Where entities come from. Without a command: list.",
    default="list",
    lazy={
        "list": ("sources:list_command", "List sources, of one plugin or all."),
        "get": ("sources:get_source", "Show one source."),
        "validate": ("applying:validate", "Check sources without applying them."),
        "diff": ("applying:diff", "Show what applying files would change."),
        "apply": ("applying:apply", "Create or change sources, from files or flags."),
        "enable": ("sources:enable", "Switch a source on."),
        "disable": ("sources:disable", "Switch a source off; its entities go."),
        "delete": ("sources:delete", "Delete a source and its entities."),
        "revisions": ("sources:revisions", "List saved states of the configuration."),
        "rollback": ("sources:rollback", "Put a saved state of the configuration back."),
        "diagnostics": ("sources:diagnostics", "Show how the sources of a plugin fare."),
        "test": ("applying:test", "Check a source as it is configured, up to its content."),
    },
)


@click.command("list", cls=Command, examples=["sources list", "sources list --plugin agents -o wide"])
@plugin_option(help="Sources of this plugin only.")
@api_version_option
@click.pass_obj
def list_command(session: Session, /, plugin: str | None, api_version: str) -> View:
    """List sources, of one plugin or all."""
    plugins = [session.discovery.get(plugin)] if plugin else session.discovery.plugins()
    for one in plugins:
        check_api_version(one.base_path, api_version)
    return sources_view(session, plugins)


@click.command(
    "get", cls=Command, examples=["sources get mcp-default", "sources get skills-default --plugin skills -o yaml"]
)
@click.argument("source")
@plugin_option(help="The plugin, where several have a source of this id.")
@click.pass_obj
def get_source(session: Session, /, source: str, plugin: str | None) -> View:
    """Show one source. With -o yaml it is a file for `sources apply`."""
    found = find_source(session, source, plugin)
    status = found.get("status") or {}
    fields = [(key, value) for key, value in found.items() if key not in ("status", "properties")]
    parts: list[Part] = [
        Fields(fields),
        Fields(list((found.get("properties") or {}).items()), "Properties"),
        Fields([(key, value) for key, value in status.items() if key != "problems"], "Status"),
        Table(
            (
                Column("File", "file"),
                Column("Line", "line"),
                Column("Severity", "severity"),
                Column("Name", "name"),
                Column("Field", "field"),
                Column("Problem", "message"),
            ),
            status.get("problems") or (),
        ),
    ]
    return View(found, parts, [source])


@click.command("enable", cls=Command, examples=["sources enable mcp-default --plugin mcp"])
@click.argument("source")
@plugin_option(required=True)
@click.option("--if-match", metavar="VERSION", default="", help="Only if the configuration has this version.")
@api_version_option
@click.pass_obj
def enable(session: Session, /, source: str, plugin: str, if_match: str, api_version: str) -> View:
    """Switch a source on."""
    return _switch(session, source, plugin, if_match, api_version, is_on=True)


@click.command("disable", cls=Command, examples=["sources disable mcp-default --plugin mcp"])
@click.argument("source")
@plugin_option(required=True)
@click.option("--if-match", metavar="VERSION", default="", help="Only if the configuration has this version.")
@api_version_option
@click.pass_obj
def disable(session: Session, /, source: str, plugin: str, if_match: str, api_version: str) -> View:
    """Switch a source off. It stays listed and holds no entities."""
    return _switch(session, source, plugin, if_match, api_version, is_on=False)


@click.command("delete", cls=Command, examples=["sources delete mcp-default --plugin mcp --yes"])
@click.argument("source")
@plugin_option(required=True)
@click.option("--if-match", metavar="VERSION", default="", help="Only if the configuration has this version.")
@api_version_option
@click.pass_obj
def delete(session: Session, /, source: str, plugin: str, if_match: str, api_version: str) -> View:
    """Delete a source and its entities. Asks first."""
    found = session.discovery.get(plugin)
    check_api_version(found.base_path, api_version)
    session.confirm(f"Delete source {source!r} of {plugin} and its entities?")
    document = session.delete(found.management(f"/sources/{segment(source)}"), if_match)
    return record_view(document, [("Source", source), ("Status", document.get("status"))], source)


@click.command("revisions", cls=Command, examples=["sources revisions --plugin mcp"])
@plugin_option(required=True)
@click.pass_obj
def revisions(session: Session, /, plugin: str) -> View:
    """List saved states of the configuration, newest first. They are states of all sources of all plugins."""
    document = session.get(session.discovery.get(plugin).management("/revisions"))
    return list_view(document, entries_of(document, "revisions"), _REVISION_COLUMNS, "version", "No revisions found.")


@click.command("rollback", cls=Command, examples=["sources rollback VERSION --plugin mcp --yes"])
@click.argument("version")
@plugin_option(required=True)
@click.option("--if-match", metavar="VERSION", default="", help="Only if the configuration has this version.")
@click.pass_obj
def rollback(session: Session, /, version: str, plugin: str, if_match: str) -> View:
    """Put a saved state of the configuration back, in all plugins. Asks first."""
    found = session.discovery.get(plugin)
    session.confirm(f"Put the configuration back to {version}?")
    document = session.post(found.management("/rollback"), {"version": version}, if_match=if_match)
    errors = document.get("reinitErrors") or {}
    fields = [
        ("Status", document.get("status")),
        ("Version", document.get("version")),
        ("Loaded Anew", document.get("reinitialized")),
        *((f"Error in {name}", message) for name, message in errors.items()),
    ]
    view = record_view(document, fields, str(document.get("version")))
    return View(document, view.parts, view.names, code=ExitCode.OTHER if errors else ExitCode.OK)


@click.command("diagnostics", cls=Command, examples=["sources diagnostics --plugin mcp"])
@plugin_option(required=True)
@click.option("--source", metavar="ID", default="", help="This source only.")
@api_version_option
@click.pass_obj
def diagnostics(session: Session, /, plugin: str, source: str, api_version: str) -> View:
    """Show how the sources of a plugin fare, and where the configuration is kept."""
    from catalog_server.cli.client.commands.diagnostics import diagnostics_view

    found = session.discovery.get(plugin)
    check_api_version(found.base_path, api_version)
    return diagnostics_view(session, found, source)


def sources_view(session: Session, plugins: Sequence[Plugin]) -> View:
    """The sources of these plugins, each with the name of its plugin."""
    found: list[dict[str, Any]] = []
    for plugin in plugins:
        found += configured(session, plugin)
    return list_view({"sources": found, "count": len(found)}, found, _COLUMNS, "id", "No sources found.")


def configured(session: Session, plugin: Plugin) -> list[dict[str, Any]]:
    """The sources of a plugin as they are configured."""
    document = session.get(plugin.management("/sources"))
    return [{"plugin": plugin.name, **one} for one in entries_of(document, "sources")]


def find_source(session: Session, source: str, plugin: str | None) -> dict[str, Any]:
    """The source of this id.

    Raises:
        Failure: no plugin has it, or several and none was named.
    """
    plugins = [session.discovery.get(plugin)] if plugin else session.discovery.plugins()
    found = [one for each in plugins for one in configured(session, each) if one["id"] == source]
    if not found:
        where = f" in plugin {plugin}" if plugin else ""
        raise Failure(f'source "{source}" not found{where}', ExitCode.NOT_FOUND, word="not_found")
    if len(found) > 1:
        names = ", ".join(one["plugin"] for one in found)
        raise Failure(f'several plugins have a source "{source}": {names}; name one with --plugin', ExitCode.USAGE)
    return found[0]


def changed_view(document: Mapping[str, Any], plugin: str) -> View:
    """What became of a source that was changed."""
    status = document.get("status") or {}
    fields = [
        ("Source", document.get("id")),
        ("Plugin", plugin),
        ("Enabled", yes_or_no(document.get("enabled"))),
        ("State", status.get("state")),
        ("Entities", status.get("entityCount")),
        ("Version", document.get("version")),
        ("Error", status.get("error")),
        ("Pending", document.get("pending")),
    ]
    shown = [(label, value) for label, value in fields if value is not None]
    return record_view(document, shown, str(document.get("id")))


def _switch(session: Session, source: str, plugin: str, if_match: str, api_version: str, *, is_on: bool) -> View:
    found = session.discovery.get(plugin)
    check_api_version(found.base_path, api_version)
    path = found.management(f"/sources/{segment(source)}/enable")
    return changed_view(session.post(path, {"enabled": is_on}, if_match=if_match), plugin)
