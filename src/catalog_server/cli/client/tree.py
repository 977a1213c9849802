"""The root of all commands: those that are built in, and one for each plugin that the server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from catalog_server import __version__
from catalog_server.cli.client.failures import ExitCode, Failure, Unreachable
from catalog_server.cli.client.framework import GLOBALS, Group, hoist
from catalog_server.cli.client.session import Flags, Session
from catalog_server.cli.client.text import escape

if TYPE_CHECKING:
    from catalog_server.cli.client.discovery import Plugin

STATIC: Final[dict[str, tuple[str, str]]] = {
    "plugins": ("plugins:plugins", "What the server catalogs."),
    "entities": ("entities:entities", "Entities of any plugin: list, get, search, filter options."),
    "assets": ("entities:assets", "Entities of all plugins in one list and one shape."),
    "sources": ("sources:sources", "Where entities come from: look, check, apply, roll back."),
    "refresh": ("refresh:refresh", "Load sources anew, now."),
    "jobs": ("jobs:jobs", "Refreshes that wait, run or have ended."),
    "governance": ("governance:governance", "Who answers for an asset, and its lifecycle."),
    "approvals": ("approvals:approvals", "Changes that wait for people."),
    "history": ("governance:history", "What happened to an asset."),
    "versions": ("versions:versions", "What an asset was at a moment."),
    "bindings": ("versions:bindings", "Which version each environment uses."),
    "promote": ("versions:promote", "Let an environment use the version of another one."),
    "rollback": ("versions:rollback", "Let an environment use an earlier version again."),
    "audit": ("audit:audit", "Who changed what."),
    "namespaces": ("status:namespaces", "The tenants that the server serves."),
    "status": ("status:status", "Whether the server works, and its plugins."),
    "health": ("status:health", "Whether the server lives and is ready, in short."),
    "plugin": ("dynamic:plugin", "Commands of one plugin, also of one named like a command."),
    "api": ("api:api", "Any route of the server, by its path."),
    "config": ("configuration:configuration", "Settings of this client."),
    "doctor": ("doctor:doctor", "What keeps this client from working."),
    "completion": ("completion:completion", "Completion for bash, zsh or fish."),
    "ui": ("status:ui", "The address of the server's page for people."),
    "version": ("status:version", "Versions of client and server."),
    "help": ("help:show_help", "Help on a command."),
}


class Root(Group):
    """Takes the global flags, and finds the command of the first word; asks the server where it is none of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        taken, rest = hoist(args)
        if rest[:1] in (["-h"], ["--help"]):
            rest = ["help"]
        found = super().parse_args(ctx, [*taken, *rest])
        ctx.obj = Session(Flags(**ctx.params))
        return found

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is not None or ctx.obj is None:
            return found
        from catalog_server.cli.client.commands.dynamic import plugin_group

        plugin = self._seen(ctx, cmd_name) if ctx.resilient_parsing else _find(ctx.obj, cmd_name)
        return None if plugin is None else plugin_group(plugin)

    def list_commands(self, ctx: click.Context) -> list[str]:
        seen = ctx.obj.discovery.seen() if ctx.obj is not None and ctx.resilient_parsing else []
        return [*super().list_commands(ctx), *(one.name for one in seen if one.name not in self.lazy)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        seen = ctx.obj.discovery.seen()
        rows = [(escape(one.name), escape(f"{one.display_name}.")) for one in seen if one.name not in self.lazy]
        if rows:
            with formatter.section(f"Plugins of {ctx.obj.server}, as last seen"):
                formatter.write_dl(rows)
        else:
            formatter.write("\nEach plugin of the server is a command, too.\n")

    def _seen(self, ctx: click.Context, name: str) -> Plugin | None:
        """For completion: a plugin that was seen, else one that the server names soon."""
        session: Session = ctx.obj
        known = [one for one in session.discovery.seen() if one.name == name]
        if known:
            return known[0]
        try:
            return session.quick().discovery.find(name)
        except Failure:
            return None


def _find(session: Session, name: str) -> Plugin | None:
    """The plugin of this name.

    Raises:
        Unreachable: the server cannot be asked, so nobody knows whether the word is a command.
    """
    try:
        return session.discovery.find(name)
    except Unreachable as error:
        raise Unreachable(f"{name!r} is no built-in command, and the plugins are not known: {error.message}") from error


def _print_version(ctx: click.Context, parameter: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        click.echo(f"catalog version {__version__}")
        ctx.exit(ExitCode.OK)


root: Final = Root(
    "catalog-cli",
    lazy=STATIC,
    params=[
        *GLOBALS,
        click.Option(
            ["-v", "--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Show the version of this client.",
        ),
    ],
    help="The catalog from a terminal. Global flags may stand anywhere.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
