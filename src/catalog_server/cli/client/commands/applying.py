"""`sources validate|diff|apply|test`: sources of files or flags beside those of the server.

`apply` reads everything, then checks everything, then asks, then changes: a fault in the last file stops the first.
Each change is bound to the state of the configuration that was compared with, so nobody's work is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from catalog_server.cli.client.commands.actions import parse_param
from catalog_server.cli.client.commands.options import api_version_option, check_api_version, plugin_option
from catalog_server.cli.client.commands.sources import configured, find_source
from catalog_server.cli.client.differences import Change, compare, show_change
from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode, Failure, Usage
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.manifests import Manifest, read_manifests
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Part, Table, Text
from catalog_server.cli.client.text import escape
from catalog_server.cli.client.views import View

F = TypeVar("F", bound=Callable[..., Any])
_FINDING_COLUMNS: Final = (
    Column("Layer", "layer"),
    Column("Field", lambda finding: finding.get("field") or "(general)"),
    Column("Code", "code"),
    Column("Message", "message"),
)
_LAYER_COLUMNS: Final = (
    Column("Layer", "layer"),
    Column("Valid", lambda layer: "yes" if layer.get("valid") else "no"),
    Column("Findings", lambda layer: [error.get("message") for error in layer.get("errors") or ()]),
)


@dataclass(frozen=True)
class Step:
    """What is to be done to one source: `create`, `update`, `delete`, or nothing (`unchanged`)."""

    plugin: Plugin
    id: str
    verb: str
    changes: Sequence[Change] = ()
    fields: Mapping[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        changes = [{"field": one.field, "old": one.old, "new": one.new} for one in self.changes]
        return {"plugin": self.plugin.name, "id": self.id, "change": self.verb, "fields": changes}

    @property
    def lines(self) -> list[str]:
        head = escape(f"{self.verb} {self.plugin.name}/{self.id}")
        return [head, *(f"  {line}" for change in self.changes for line in show_change(change))]


def source_options(command: F) -> F:
    """Sources from files, or one from flags."""
    for option in reversed(
        (
            click.option(
                "--file", "-f", "files", multiple=True, metavar="PATH", help="File or folder; -: stdin. Repeatable."
            ),
            plugin_option(help="The plugin, where the file does not say it."),
            click.option("--id", "source_id", metavar="ID", help="Id of a source that is given by flags."),
            click.option("--name", metavar="NAME", help="Its name."),
            click.option("--type", "source_type", metavar="TYPE", help="Its type: yaml, git, http, hf."),
            click.option("--label", "labels", multiple=True, metavar="LABEL", help="A label; repeatable."),
            click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="A property; KEY:=JSON."),
            click.option(
                "--enabled", type=bool, is_flag=False, flag_value=True, help="Whether it is on (true, false)."
            ),
            api_version_option,
        )
    ):
        command = option(command)
    return command


@click.command(
    "validate",
    cls=Command,
    examples=[
        "sources validate -f sources.yaml",
        "sources validate --plugin mcp --id new --name New --type yaml --property yamlCatalogPath=new.yaml",
    ],
)
@source_options
@click.pass_obj
def validate(session: Session, /, **options: Any) -> View:
    """Check sources without applying them. Exit status 5 when one is not valid."""
    return _validation_view([(one, _validate(session, one)) for one in _wanted(session, options)])


@click.command("test", cls=Command, examples=["sources test mcp-default"])
@click.argument("source")
@plugin_option(help="The plugin, where several have a source of this id.")
@click.pass_obj
def test(session: Session, /, source: str, plugin: str | None) -> View:
    """Check a source as it is configured, up to where its content comes from. Exit status 5 when it is not valid."""
    found = find_source(session, source, plugin)
    served = session.discovery.get(found["plugin"])
    fields = {key: value for key, value in found.items() if key not in ("plugin", "status")}
    # What is hidden in the answer is put back by the server; the text of the catalog file needs no check.
    fields["properties"] = {key: value for key, value in (found.get("properties") or {}).items() if key != "content"}
    result = _validate(session, Manifest(served, fields, "the server"))
    head = f"Validation: {'PASSED' if result.get('valid') else 'FAILED'}"
    parts: list[Part] = [Text([head]), Table(_LAYER_COLUMNS, result.get("layerResults") or ())]
    return View({"plugin": served.name, "id": source, **result}, parts, [source], code=_code(result))


@click.command("diff", cls=Command, examples=["sources diff -f sources.yaml", "sources diff -f sources.yaml --prune"])
@source_options
@click.option("--prune", is_flag=True, help="Also what is in no file, of the plugins that the files name.")
@click.pass_obj
def diff(session: Session, /, prune: bool, **options: Any) -> View:
    """Show what applying files would change. Nothing is changed."""
    return _plan_view(_plan(session, _wanted(session, options), prunes=prune), "planned")


@click.command(
    "apply",
    cls=Command,
    examples=[
        "sources apply -f sources.yaml --dry-run",
        "sources apply -f sources.yaml",
        "sources apply -f sources.yaml --prune --yes",
    ],
)
@source_options
@click.option("--diff", "is_shown", is_flag=True, hidden=True, help="The differences are always shown.")
@click.option("--dry-run", is_flag=True, help="Check and compare; change nothing.")
@click.option(
    "--prune", is_flag=True, help="Delete what is in no file, of the plugins that the files name. Asks first."
)
@click.option("--refresh", is_flag=True, help="Refresh what was changed.")
@click.option("--if-match", metavar="VERSION", default="", help="Only if the configuration has this version.")
@click.option("--confirm-removal", is_flag=True, help="Let a source lose more than half of its entities.")
@click.pass_obj
def apply(session: Session, /, is_shown: bool, **options: Any) -> View:
    """Create or change sources so that they are as the files say. What is so already is left alone.

    A file is a sources file of the server, or one source with its plugin, as `sources get -o yaml` prints it.
    """
    wanted = _wanted(session, options)
    version = options["if_match"] or _version(session, wanted[0].plugin)
    steps = _plan(session, wanted, prunes=options["prune"])
    _check_all(session, steps)
    if options["dry_run"]:
        return _plan_view(steps, "dry-run")
    gone = [f"{step.plugin.name}/{step.id}" for step in steps if step.verb == "delete"]
    if gone:
        shown = [line for step in steps if step.verb != "unchanged" for line in step.lines]
        session.confirm(f"Delete {', '.join(gone)} and all that came from there?", shown)
    results = _carry_out(session, steps, version, options)
    return _plan_view(steps, "applied", results)


def _wanted(session: Session, options: Mapping[str, Any]) -> list[Manifest]:
    """The sources that the command line names."""
    named = {key: options[key] for key in ("source_id", "name", "source_type", "labels", "properties") if options[key]}
    if bool(options["files"]) == bool(named):
        raise Usage("give files with -f, or one source with --plugin, --id, --name and --type")
    if options["files"]:
        return read_manifests(options["files"], session.discovery.plugins(), options["plugin"] or "", session.namespace)
    missing = [flag for flag, key in (("--plugin", "plugin"), ("--id", "source_id")) if not options[key]]
    if missing:
        raise Usage(f"missing: {', '.join(missing)}")
    plugin = session.discovery.get(options["plugin"])
    check_api_version(plugin.base_path, options["api_version"])
    fields = {
        "id": options["source_id"],
        "name": options["name"],
        "type": options["source_type"],
        "enabled": options["enabled"],
        "labels": list(options["labels"]) or None,
        "properties": dict(map(parse_param, options["properties"])) or None,
    }
    return [Manifest(plugin, {key: value for key, value in fields.items() if value is not None}, "flags")]


def _plan(session: Session, wanted: Sequence[Manifest], *, prunes: bool) -> list[Step]:
    """What has to be done, in the order of the files; deletions last."""
    plugins = {one.plugin.name: one.plugin for one in wanted}
    current = {(name, one["id"]): one for name, plugin in plugins.items() for one in configured(session, plugin)}
    steps = []
    for one in wanted:
        found = current.get(one.key)
        fields = {**({"name": found["name"], "type": found["type"]} if found else {}), **one.fields}
        changes = compare(fields, found)
        verb = "create" if found is None else "update" if changes else "unchanged"
        steps.append(Step(one.plugin, one.id, verb, changes, fields))
    if prunes:
        kept = {one.key for one in wanted}
        steps += [Step(plugins[name], source, "delete") for name, source in current if (name, source) not in kept]
    return steps


def _check_all(session: Session, steps: Sequence[Step]) -> None:
    """Raises Failure where one of the sources is not valid, before anything is changed."""
    problems: list[dict[str, Any]] = []
    for step in steps:
        if step.verb in ("create", "update"):
            result = _validate(session, Manifest(step.plugin, step.fields or {}, ""))
            problems += [{"plugin": step.plugin.name, "id": step.id, **error} for error in _errors(result)]
    if problems:
        told = "; ".join(f"{one['plugin']}/{one['id']}: {one.get('field')}: {one.get('message')}" for one in problems)
        raise Failure(f"nothing was applied: {told}", ExitCode.INVALID, word="invalid", details={"errors": problems})


def _carry_out(
    session: Session, steps: Sequence[Step], version: str, options: Mapping[str, Any]
) -> dict[tuple[str, str], Any]:
    """Do the steps, each on the state that the one before has left.

    Raises:
        Failure: the server refuses one. Its details name what was done before.
    """
    results: dict[tuple[str, str], Any] = {}
    for step in steps:
        if step.verb == "unchanged":
            continue
        try:
            document = _do(session, step, version, options)
        except Failure as failure:
            failure.details |= {
                "source": f"{step.plugin.name}/{step.id}",
                "applied": ["/".join(key) for key in results],
            }
            if results:
                failure.message += f"; applied before: {', '.join(failure.details['applied'])}"
            raise
        results[step.plugin.name, step.id] = document
        # A deletion does not say which state it has left.
        version = str(document.get("version") or _version(session, step.plugin))
    return results


def _do(session: Session, step: Step, version: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if step.verb == "delete":
        path = step.plugin.management(f"/sources/{segment(step.id)}")
        return session.delete(path, version)
    body = {**(step.fields or {}), **({"refreshAfterApply": True} if options["refresh"] else {})}
    query = [("confirmRemoval", "true")] if options["confirm_removal"] else []
    return session.post(step.plugin.management("/apply-source"), body, query, version)


def _version(session: Session, plugin: Plugin) -> str:
    """The state of the configuration."""
    return str(session.get(plugin.management("/diagnostics")).get("configVersion") or "")


def _validate(session: Session, one: Manifest) -> dict[str, Any]:
    return session.post(one.plugin.management("/validate-source"), dict(one.fields))


def _errors(result: Mapping[str, Any]) -> list[Any]:
    return [] if result.get("valid") else list(result.get("errors") or [{"field": "", "message": "not valid"}])


def _code(result: Mapping[str, Any]) -> ExitCode:
    return ExitCode.OK if result.get("valid") else ExitCode.INVALID


def _validation_view(results: Sequence[tuple[Manifest, Mapping[str, Any]]]) -> View:
    parts: list[Part] = []
    for one, result in results:
        parts.append(Text([f"Validation: {'PASSED' if result.get('valid') else 'FAILED'}  {escape(str(one))}"]))
        findings = [*_errors(result), *(result.get("warnings") or ())]
        if findings:
            parts.append(Table(_FINDING_COLUMNS, findings))
    documents = [{"plugin": one.plugin.name, "id": one.id, **result} for one, result in results]
    is_valid = all(result.get("valid") for _, result in results)
    code = ExitCode.OK if is_valid else ExitCode.INVALID
    return View({"valid": is_valid, "results": documents}, parts, [one.id for one, _ in results], documents, code=code)


def _plan_view(steps: Sequence[Step], mode: str, results: Mapping[tuple[str, str], Any] | None = None) -> View:
    documents = [step.document for step in steps]
    for document in documents:
        if results and (found := results.get((document["plugin"], document["id"]))):
            document["result"] = found
    counts = {verb: sum(step.verb == verb for step in steps) for verb in ("create", "update", "delete", "unchanged")}
    lines = [line for step in steps for line in step.lines]
    told = ", ".join(
        f"{count} to {verb}" if verb != "unchanged" else f"{count} {verb}" for verb, count in counts.items()
    )
    told = told if results is None else told.replace(" to create", " created").replace(" to update", " updated")
    told = told if results is None else told.replace(" to delete", " deleted")
    return View(
        {"mode": mode, "summary": counts, "sources": documents},
        [Text(lines, is_diff=True), Text([told])],
        [step.id for step in steps if step.verb != "unchanged"],
        documents,
    )
