"""`plugins`: what the server catalogs. Always asked anew, since it says whether each is healthy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from catalog_server.cli.client.commands.options import complete_plugins
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import entries_of
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, or_missing, yes_or_no
from catalog_server.cli.client.views import View, list_view

plugins = Group("plugins", help="What the server catalogs. Without a command: list.", default="list")


def _healthy(plugin: Mapping[str, Any]) -> str:
    error = (plugin.get("status") or {}).get("lastError") or plugin.get("lastError")
    return f"no ({error})" if error and not plugin.get("healthy") else yes_or_no(plugin.get("healthy"))


COLUMNS: Final = (
    Column("Name", "name", is_whole=True),
    Column("Version", "version", is_spare=True),
    Column("Healthy", _healthy),
    Column("Entities", "entityKinds"),
    Column("Base Path", "basePath", is_whole=True, is_spare=True),
    Column("Description", "description"),
)


@plugins.command("list", cls=Command, examples=["plugins list", "plugins -o name"])
@click.pass_obj
def list_plugins(session: Session, /) -> View:
    """List the plugins and whether each is healthy."""
    document = session.get("/api/plugins")
    return list_view(document, entries_of(document, "plugins"), COLUMNS, "name", "No plugins found.")


@plugins.command("get", cls=Command, examples=["plugins get mcp"])
@click.argument("name", shell_complete=complete_plugins)
@click.pass_obj
def get_plugin(session: Session, /, name: str) -> View:
    """Show one plugin: what it can do and how it fares."""
    found = [one for one in entries_of(session.get("/api/plugins"), "plugins") if one["name"] == name]
    if not found:
        raise Failure(f'plugin "{name}" not found', ExitCode.NOT_FOUND, word="not_found")
    return View(found[0], _parts(found[0]), [name])


def _parts(plugin: Mapping[str, Any]) -> list[Fields]:
    abilities = plugin.get("capabilitiesV2") or {}
    sources = abilities.get("sources") or {}
    return [
        Fields(
            [
                ("Name", plugin.get("name")),
                ("Version", plugin.get("version")),
                ("Description", plugin.get("description")),
                ("Base Path", plugin.get("basePath")),
                ("Healthy", _healthy(plugin)),
                ("Entity Kinds", plugin.get("entityKinds")),
                ("Actions", [one.get("id") for one in abilities.get("actions") or ()]),
            ]
        ),
        Fields(
            [
                ("Sources", yes_or_no(sources.get("manageable"))),
                ("Refresh", yes_or_no(sources.get("refreshable"))),
                ("Source Types", sources.get("types")),
            ],
            "Management",
        ),
        Fields([(_label(key), or_missing(value)) for key, value in (plugin.get("status") or {}).items()], "Status"),
    ][: 3 if plugin.get("status") else 2]


def _label(key: str) -> str:
    return "".join(f" {one}" if one.isupper() else one for one in key).strip().title()
