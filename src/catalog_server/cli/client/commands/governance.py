"""`governance` and `history`: who answers for an asset, its lifecycle, and what happened to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from catalog_server.cli.client.commands.actions import outcome_view
from catalog_server.cli.client.commands.entity_listing import paging_of
from catalog_server.cli.client.commands.options import complete_plugins, fetch_list, page_options, page_view
from catalog_server.cli.client.failures import Usage
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields
from catalog_server.cli.client.views import View, list_view

F = TypeVar("F", bound=Callable[..., Any])
BASE: Final = "/api/governance/v1alpha1"
STATES: Final = ("draft", "approved", "deprecated", "archived")
RISKS: Final = ("low", "medium", "high", "critical")
TIERS: Final = ("gold", "silver", "bronze", "none")

_HISTORY: Final = (
    Column("Time", "createdAt", is_whole=True),
    Column("Actor", "actor"),
    Column("Event", lambda event: str(event.get("eventType")).removeprefix("governance."), is_whole=True),
    Column("Outcome", "outcome"),
    Column("Reason", "reason", is_spare=True),
    Column("Action", "action", is_wide=True),
    Column("ID", "id", is_whole=True, is_wide=True),
)
_POLICIES: Final = (
    Column("ID", "id", is_whole=True),
    Column("Enabled", "enabled"),
    Column("Approvals", "gate.requiredCount"),
    Column("Transitions", lambda policy: [_transition(one) for one in policy["selector"]["transitions"]]),
    Column("Roles", "gate.allowedRoles", is_spare=True),
    Column("Hours", "expiryHours", is_spare=True),
    Column("Name", "displayName", is_wide=True),
    Column("Plugins", "selector.plugins", is_wide=True),
    Column("Kinds", "selector.kinds", is_wide=True),
    Column("Risks", "selector.riskLevels", is_wide=True),
)

governance = Group("governance", help="Who answers for an asset, its lifecycle, and which changes need an approval.")
lifecycle = Group("lifecycle", help="Take a step of an asset's lifecycle, at once or when it was approved.")
governance.add_command(lifecycle)


def asset_arguments(command: F) -> F:
    """Which asset."""
    for argument in (
        click.argument("name"),
        click.argument("kind"),
        click.argument("plugin", shell_complete=complete_plugins),
    ):
        command = argument(command)
    return command


def _step_options(command: F) -> F:
    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be done, and which approval it would take."),
        click.option("--reason", metavar="TEXT", help="Why; it goes into the record and the history."),
    ):
        command = option(command)
    return command


@governance.command("get", cls=Command, examples=["governance get skills Skill deploy"])
@asset_arguments
@click.pass_obj
def get_record(session: Session, /, plugin: str, kind: str, name: str) -> View:
    """Show the governance record of an asset."""
    return record_view_of(session.get(asset_path(plugin, kind, name)), name)


@governance.command(
    "set", cls=Command, examples=["governance set skills Skill deploy --owner olivia --team Platform --risk high"]
)
@asset_arguments
@click.option("--owner", metavar="NAME", help="Who answers for it; takes the place of the whole section.")
@click.option("--team", metavar="NAME", help="The team that does.")
@click.option("--risk", type=click.Choice(RISKS), help="How much can go wrong.")
@click.option("--sla", type=click.Choice(TIERS), help="Tier of service.")
@click.pass_obj
def set_record(session: Session, /, plugin: str, kind: str, name: str, **options: str | None) -> View:
    """Change the governance record of an asset."""
    keys = {"owner": "principal", "team": "name", "risk": "level", "sla": "tier"}
    body = {section: {key: options[section]} for section, key in keys.items() if options[section] is not None}
    if not body:
        raise Usage(f"nothing to set: give one of {', '.join(f'--{section}' for section in keys)}")
    return record_view_of(session.patch(asset_path(plugin, kind, name), body), name)


@lifecycle.command(
    "set",
    cls=Command,
    examples=[
        "governance lifecycle set skills Skill deploy approved --dry-run",
        "governance lifecycle set agents Agent helper approved --reason ready",
    ],
)
@asset_arguments
@click.argument("state", type=click.Choice(STATES))
@_step_options
@click.pass_obj
def set_state(session: Session, /, plugin: str, kind: str, name: str, state: str, **options: Any) -> View:
    """Let an asset go to another state."""
    return _step(session, (plugin, kind, name), "lifecycle.setState", {"state": state}, options)


@lifecycle.command(
    "deprecate",
    cls=Command,
    examples=["governance lifecycle deprecate agents Agent helper --reason replaced"],
)
@asset_arguments
@_step_options
@click.pass_obj
def deprecate(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """Say that an asset should not be used any more."""
    return _step(session, (plugin, kind, name), "lifecycle.deprecate", {}, options)


@lifecycle.command("archive", cls=Command, examples=["governance lifecycle archive agents Agent helper --yes"])
@asset_arguments
@_step_options
@click.pass_obj
def archive(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """Take an asset out of use."""
    if not options["dry_run"]:
        session.confirm(f"Archive {kind} {name!r} of {plugin}?")
    return _step(session, (plugin, kind, name), "lifecycle.archive", {}, options)


@lifecycle.command("restore", cls=Command, examples=["governance lifecycle restore agents Agent helper --state draft"])
@asset_arguments
@click.option("--state", type=click.Choice(STATES), help="Where to; deprecated by default.")
@_step_options
@click.pass_obj
def restore(session: Session, /, plugin: str, kind: str, name: str, state: str | None, **options: Any) -> View:
    """Bring an archived asset back."""
    params = {"targetState": state} if state else {}
    return _step(session, (plugin, kind, name), "lifecycle.restore", params, options)


@governance.command("bind", cls=Command, examples=["governance bind agents Agent scout --env dev --version VERSION_ID"])
@asset_arguments
@click.option("--env", required=True, metavar="NAME", help="The environment.")
@click.option("--version", required=True, metavar="ID", help="The version that it is to use.")
@click.pass_obj
def bind(session: Session, /, plugin: str, kind: str, name: str, env: str, version: str) -> View:
    """Let an environment use a version."""
    return act_on(session, (plugin, kind, name), "promotion.bind", {"environment": env, "versionId": version})


@governance.command("policies", cls=Command, examples=["governance policies"])
@click.pass_obj
def list_policies(session: Session, /) -> View:
    """Which changes need an approval, and whose."""
    document = session.get(f"{BASE}/policies")
    return list_view(document, document.get("policies") or [], _POLICIES, "id", "Nothing needs an approval.")


@click.command("history", cls=Command, examples=["history skills Skill deploy"])
@asset_arguments
@page_options
@click.pass_obj
def history(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """What happened to an asset, newest first."""
    found = fetch_list(session, f"{asset_path(plugin, kind, name)}/history", (), "events", paging_of(options))
    return page_view(found, _HISTORY, "Nothing happened yet.")


def asset_path(plugin: str, kind: str, name: str) -> str:
    return f"{BASE}/assets/{segment(plugin)}/{segment(kind)}/{segment(name)}"


def record_view_of(document: Mapping[str, Any], name: str) -> View:
    """A governance record, section by section."""
    sections = document.get("governance") or {}
    parts = [Fields(list(section.items()), heading=title) for title, section in sections.items()]
    return View(document, parts, [name])


def act_on(
    session: Session, asset: tuple[str, str, str], action: str, params: dict[str, str], *, is_dry: bool = False
) -> View:
    """Do something with an asset (plugin, kind, name), or say what that would come to."""
    body = {"params": params, **({"dryRun": True} if is_dry else {})}
    return outcome_view(session, session.post(f"{asset_path(*asset)}/actions/{action}", body), action, asset[-1])


def _step(
    session: Session, asset: tuple[str, str, str], action: str, params: dict[str, str], options: Mapping[str, Any]
) -> View:
    reason = {"reason": options["reason"]} if options["reason"] else {}
    return act_on(session, asset, action, {**params, **reason}, is_dry=options["dry_run"])


def _transition(one: Mapping[str, Any]) -> str:
    return f"{one.get('from') or '*'}→{one.get('to') or '*'}"
