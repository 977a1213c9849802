"""What the commands are made of: click's commands and groups, loaded when asked for, with examples in their help.

Global flags may stand anywhere in the command line. They are taken out and put first, so that they are known before the
first word is looked up, which may take a server to ask (spec cli-and-ui.md 1.4, order of work).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from catalog_server.cli.client.rendering import FORMATS

if TYPE_CHECKING:
    from catalog_server.cli.client.session import Session
    from catalog_server.cli.client.views import View

_SEE_GLOBALS: Final = "Global flags: catalog-cli --help"


@dataclass(frozen=True)
class Outcome:
    """What a command gives back to main.py."""

    view: View
    session: Session


class Command(click.Command):
    """A command that does something. `examples` are shown in its help, and run by the tests."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Outcome:
        return Outcome(super().invoke(ctx), ctx.obj)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)
        formatter.write(f"\n{_SEE_GLOBALS}\n")

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return with_globals(super().get_params(ctx), ctx)


class Group(click.Group):
    """A command that is a family of others. Without one, `default` runs with the flags given, if there is a default.

    `lazy`: names of commands to (`module:attribute`, short help). Modules are relative to `commands`.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, default: str = "", **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.lazy = dict(lazy or {})
        self.default = default
        self.no_args_is_help = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_default = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        if self.default and is_default and not ctx.resilient_parsing:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *(name for name in self.commands if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, _, attribute = self.lazy[cmd_name][0].partition(":")
            loaded = importlib.import_module(f"catalog_server.cli.client.commands.{module}")
            self.commands[cmd_name] = getattr(loaded, attribute)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.short_help_of(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if ctx.parent is not None:
            formatter.write(f"\n{_SEE_GLOBALS}\n")

    def short_help_of(self, name: str) -> str:
        return self.lazy[name][1] if name in self.lazy else self.commands[name].get_short_help_str(100)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return with_globals(super().get_params(ctx), ctx)


def with_globals(params: list[click.Parameter], ctx: click.Context) -> list[click.Parameter]:
    """Completion offers global flags everywhere, though only the root takes them."""
    return [*params, *GLOBALS] if ctx.resilient_parsing and ctx.parent is not None else params


def write_examples(formatter: click.HelpFormatter, examples: Iterable[str]) -> None:
    listed = list(examples)
    if listed:
        with formatter.section("Examples"):
            formatter.write("".join(f"  catalog-cli {example}\n" for example in listed))


def hoist(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global flags with their values, wherever they stand before `--`, and all the rest."""
    taken: list[str] = []
    rest: list[str] = []
    words: Iterator[str] = iter(arguments)
    while (word := next(words, None)) is not None:
        if word == "--":
            return taken, [*rest, word, *words]
        name, has_value, _ = word.partition("=")
        option = _BY_NAME.get(name) if word.startswith("--") else _BY_NAME.get(word[:2])
        if option is None or (option.is_flag and has_value):
            rest.append(word)
            continue
        taken.append(word)
        if not option.is_flag and not (has_value if word.startswith("--") else len(word) > 2):
            value = next(words, None)
            if word == "--server" and (value is None or value.startswith("-")):
                rest.append(taken.pop())  # `version --server` asks for the server's version, as older scripts do
                words = chain([] if value is None else [value], words)
            elif value is not None:
                taken.append(value)
    return taken, rest


def output_of(arguments: Sequence[str]) -> str:
    """The format that a command line asks for, as far as it can be told before it is parsed; empty: none."""
    found = ""
    words = iter(hoist(arguments)[0])
    for word in words:
        if word in ("-o", "--output"):
            found = next(words, "")
        elif word.startswith("--output="):
            found = word.partition("=")[2]
        elif word.startswith("-o"):
            found = word[2:]
    return found.lower() if found.lower() in FORMATS else ""


GLOBALS: Final[list[click.Option]] = [
    click.Option(["--server"], metavar="URL", help="Base URL of the server. Default: http://localhost:8080."),
    click.Option(["-o", "--output"], type=click.Choice(FORMATS, case_sensitive=False), help="Format of the output."),
    click.Option(["-n", "--namespace"], metavar="NAME", help="Tenant that the call is for."),
    click.Option(["--role"], metavar="ROLE", help="Role to claim (X-User-Role): viewer or operator."),
    click.Option(["--user"], metavar="NAME", help="Name to claim (X-Remote-User)."),
    click.Option(["--group"], metavar="NAME", multiple=True, help="Group to claim (X-Remote-Group); repeatable."),
    click.Option(["--token"], metavar="TOKEN", help="Bearer token; other users of this machine can see it."),
    click.Option(["--token-file"], metavar="PATH", help="File that holds the bearer token."),
    click.Option(["--timeout"], metavar="SECONDS", help="Time for a call (30), with --wait for the whole wait (600)."),
    click.Option(["--ca-file"], metavar="PATH", help="Certificates of authorities to trust, as PEM."),
    click.Option(["--insecure-skip-verify"], is_flag=True, help="Do not verify the server's certificate."),
    click.Option(["--no-cache"], is_flag=True, help="Ask the server for its plugins, whatever was seen before."),
    click.Option(["--no-headers"], is_flag=True, help="Tables without the line of headers."),
    click.Option(["-y", "--yes"], is_flag=True, help="Do not ask before something is deleted."),
    click.Option(["--fail-on-pending"], is_flag=True, help="Exit status 9 when the request waits for an approval."),
]
_BY_NAME: Final = {name: option for option in GLOBALS for name in option.opts}
