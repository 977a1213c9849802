"""`completion`: the script that a shell reads at its start."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.tables import Text
from catalog_server.cli.client.views import View

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", cls=Command, examples=["completion bash"])
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> View:
    """Print the script that completes commands, flags and plugins.

    \b
    bash: eval "$(catalog-cli completion bash)"            in ~/.bashrc
    zsh:  eval "$(catalog-cli completion zsh)"             in ~/.zshrc
    fish: catalog-cli completion fish > ~/.config/fish/completions/catalog-cli.fish
    """
    program = ctx.find_root().info_name or ctx.command_path
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    maker = _SHELLS[shell](ctx.find_root().command, {}, program, variable)
    # The bash class looks for a bash to check its version, which is of no use where the script is made for elsewhere.
    script = ShellComplete.source(maker)
    return View({"shell": shell, "script": script}, [Text(script.rstrip("\n").split("\n"))], [shell])
