"""Actions on entities: their parameters as flags, with types, and what the server says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from catalog_server.cli.client.discovery import Entity
from catalog_server.cli.client.failures import ExitCode, Usage
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.manifests import read_text
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Fields, Part, Text
from catalog_server.cli.client.text import escape, one_line
from catalog_server.cli.client.views import View


@dataclass(frozen=True)
class Shortcut:
    """A flag for a parameter of an action that every plugin has."""

    option: click.Option
    parameter: str


_SHORTCUTS: Final[Mapping[str, Sequence[Shortcut]]] = {
    "tag": (
        Shortcut(click.Option(["--tag"], multiple=True, metavar="TAG", help="A tag; repeatable."), "tags"),
        Shortcut(
            click.Option(
                ["--mode"], type=click.Choice(["replace", "add", "remove"]), help="What becomes of the others."
            ),
            "mode",
        ),
    ),
    "annotate": (
        Shortcut(
            click.Option(["--annotation"], multiple=True, metavar="KEY=VALUE", help="An annotation; repeatable."),
            "annotations",
        ),
    ),
    "deprecate": (
        Shortcut(click.Option(["--phase"], metavar="PHASE", help="active, deprecated, retired or draft."), "phase"),
    ),
}


def action_command(entity: Entity, action: Mapping[str, Any]) -> Command:
    """The command for one action on one entity."""
    action_id = str(action.get("id"))
    shortcuts = _SHORTCUTS.get(action_id, ())

    @click.pass_obj
    def run(session: Session, /, name: str, source: str | None, **options: Any) -> View:
        params = gather_params(options["param"], options["params"], options["params_file"])
        for shortcut in shortcuts:
            params |= _shortcut_value(shortcut, options[str(shortcut.option.name)])
        return _run(session, _Request(entity, action, name, source, params, bool(options.get("dry_run"))))

    dry_run = [click.Option(["--dry-run"], is_flag=True, help="Say what would be done.")]
    return Command(
        action_id,
        callback=run,
        params=[
            click.Argument(["name"]),
            *(shortcut.option for shortcut in shortcuts),
            *param_options(),
            *(dry_run if action.get("supportsDryRun") else ()),
            click.Option(["--source"], metavar="ID", help="The source, where several have an entity of this name."),
        ],
        help=escape(str(action.get("description") or action.get("displayName") or action_id)),
    )


def param_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--param"],
            multiple=True,
            metavar="KEY=VALUE",
            help="A parameter. KEY:=JSON for one that is no text; repeated, it is a list.",
        ),
        click.Option(["--params"], metavar="K=V,K=V", help="Several parameters that are texts without commas."),
        click.Option(
            ["--params-file", "-f"], metavar="PATH", help="A file with all parameters, JSON or YAML; -: stdin."
        ),
    ]


def gather_params(given: Sequence[str], joined: str | None, file: str | None) -> dict[str, Any]:
    """The parameters of a file, and those of flags over them.

    Raises:
        Usage: one is not `key=value`, or the file is no object.
    """
    found: dict[str, Any] = _read_file(file) if file else {}
    named: dict[str, list[Any]] = {}
    for text in [*(joined.split(",") if joined else ()), *given]:
        key, value = parse_param(text)
        named.setdefault(key, []).append(value)
    return found | {key: values[0] if len(values) == 1 else values for key, values in named.items()}


def parse_param(text: str) -> tuple[str, Any]:
    """`key=text` or `key:=JSON`.

    Raises:
        Usage: it is neither.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.rstrip(":"):
        raise Usage(f"parameter {text!r} is neither KEY=VALUE nor KEY:=JSON")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], json.loads(value)
    except ValueError as error:
        raise Usage(f"parameter {key[:-1]!r}: {value!r} is no JSON: {error}") from error


def _shortcut_value(shortcut: Shortcut, given: Any) -> dict[str, Any]:
    if not given:
        return {}
    if shortcut.parameter == "annotations":
        return {"annotations": dict(map(parse_param, given))}
    return {shortcut.parameter: list(given) if shortcut.option.multiple else given}


@dataclass(frozen=True)
class _Request:
    """One action on one entity."""

    entity: Entity
    action: Mapping[str, Any]
    name: str
    source: str | None
    params: Mapping[str, Any]
    is_dry: bool


def _run(session: Session, wanted: _Request) -> View:
    action_id, name = str(wanted.action.get("id")), wanted.name
    if wanted.action.get("destructive") and not wanted.is_dry:
        session.confirm(f"{wanted.action.get('displayName') or action_id} {wanted.entity.noun} {name!r}?")
    body: dict[str, Any] = {"action": action_id}
    if wanted.params:
        body["params"] = wanted.params
    if wanted.is_dry:
        body["dryRun"] = True
    query = [("sourceId", wanted.source)] if wanted.source else []
    return outcome_view(session, session.post(wanted.entity.action_path(name), body, query), action_id, name)


def outcome_view(session: Session, document: Mapping[str, Any], action: str, name: str) -> View:
    """What an action did. Exit status 1 when it failed, 9 when it waits for an approval and that is asked for."""
    status = str(document.get("status"))
    prefix = "[dry-run] " if status == "dry-run" else ""
    head = one_line(f'{prefix}Action "{action}" on "{name}": {status}')
    lines = [head, *([one_line(str(document["message"]))] if document.get("message") else [])]
    data = document.get("data")
    parts: list[Part] = [Text(lines), *([Fields(list(data.items()))] if isinstance(data, dict) and data else [])]
    code = ExitCode.OTHER if status == "error" else ExitCode.OK
    if status.startswith("pending") and session.flags.fail_on_pending:
        code = ExitCode.PENDING
    return View(document, parts, [name], code=code)


def _read_file(path: str) -> dict[str, Any]:
    from catalog_server.cli.client.manifests import parse_document

    found = parse_document(read_text(path), path)
    if not isinstance(found, dict):
        raise Usage(f"{Path(path).name}: parameters are an object")
    return found
