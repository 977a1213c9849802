"""Global flags anywhere, and a command tree that does not stand in its own way."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from catalog_server.cli.client.framework import GLOBALS, Command, Group, hoist, output_of
from catalog_server.cli.client.tree import STATIC, root


@pytest.mark.parametrize(
    ("line", "taken", "rest"),
    [
        ("plugins list", "", "plugins list"),
        ("plugins list -o json", "-o json", "plugins list"),
        ("-n red plugins --server http://x list", "-n red --server http://x", "plugins list"),
        ("plugins -ojson --output=yaml", "-ojson --output=yaml", "plugins"),
        ("delete x -y --no-headers", "-y --no-headers", "delete x"),
        ("list --filter a -- -o json", "", "list --filter a -- -o json"),
        ("list -o", "-o", "list"),
        ("list --outputs json -x", "", "list --outputs json -x"),
        ("x --yes=1", "", "x --yes=1"),
        ("x --group a --group b", "--group a --group b", "x"),
        ("x -", "", "x -"),
        ("version --server", "", "version --server"),
        ("version --server -o json", "-o json", "version --server"),
    ],
)
def test_global_flags_when_anywhere_then_taken_out_with_their_values(line: str, taken: str, rest: str) -> None:
    assert hoist(line.split()) == (taken.split(), rest.split())


@pytest.mark.parametrize(
    ("line", "form"),
    [("x", ""), ("x -o json", "json"), ("x -oYAML", "yaml"), ("-o json x --output=jsonl", "jsonl"), ("x -o wrong", "")],
)
def test_output_when_the_line_cannot_be_parsed_then_known_all_the_same(line: str, form: str) -> None:
    assert output_of([*line.split(), "--no-such-flag"]) == form


def static_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that is built in, with its words."""
    pending: list[tuple[str, click.Command]] = [(name, _get(root, name)) for name in STATIC if name != "plugin"]
    for words, command in pending:
        yield words, command
        if isinstance(command, Group):
            context = click.Context(command)
            pending += [(f"{words} {name}", _get(command, name)) for name in command.list_commands(context)]


def _get(group: Group, name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("words", "command"), list(static_commands()), ids=lambda one: one if isinstance(one, str) else ""
)
def test_command_then_it_has_help_and_examples_and_no_flag_of_the_globals(words: str, command: click.Command) -> None:
    assert command.help, words
    assert command.name == words.split()[-1]
    taken = {name for option in GLOBALS for name in option.opts}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.hidden or not taken & {*parameter.opts, *parameter.secondary_opts}, words
            assert parameter.help or parameter.hidden, f"{words} {parameter.opts}"
    if isinstance(command, Command):
        assert command.examples, f"{words} shows no example"
        assert all(example.startswith(words.split()[0]) for example in command.examples)


@pytest.mark.parametrize("name", STATIC)
def test_lazy_command_then_its_short_help_is_a_sentence(name: str) -> None:
    assert STATIC[name][1].endswith(".")
