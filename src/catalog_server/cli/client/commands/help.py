"""`help`: the help of a command, as an answer like any other."""

from __future__ import annotations

import click

from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.tables import Text
from catalog_server.cli.client.views import View


@click.command("help", cls=Command, examples=["help", "help sources apply"])
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def show_help(ctx: click.Context, words: tuple[str, ...]) -> View:
    """Show the help of a command."""
    root = ctx.find_root()
    found, inner = root.command, root
    for word in words:
        command = found.get_command(inner, word) if isinstance(found, click.Group) else None
        if command is None:
            raise click.UsageError(f"there is no command {' '.join(words)!r}", inner)
        found, inner = command, click.Context(command, info_name=word, parent=inner)
    text = found.get_help(inner)
    return View({"command": inner.command_path, "help": text}, [Text(text.splitlines())], [inner.command_path])
