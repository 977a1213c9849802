"""`versions`, `bindings`, `promote`, `rollback`: what an asset was at a moment, and which environment uses it."""

from __future__ import annotations

from typing import Any, Final

import click

from catalog_server.cli.client.commands.entity_listing import paging_of
from catalog_server.cli.client.commands.governance import act_on, asset_arguments, asset_path
from catalog_server.cli.client.commands.options import fetch_list, page_options, page_view
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column
from catalog_server.cli.client.views import View, list_view, record_view

_VERSIONS: Final = (
    Column("Version ID", "versionId", is_whole=True),
    Column("Label", "versionLabel"),
    Column("Created By", "createdBy"),
    Column("Created At", "createdAt", is_whole=True, is_spare=True),
    Column("Source", "provenance.sourceId", is_wide=True),
    Column("Revision", "provenance.revisionId", is_wide=True),
    Column("Digest", "contentDigest", is_wide=True),
)
_BINDINGS: Final = (
    Column("Environment", "environment"),
    Column("Version ID", "versionId", is_whole=True),
    Column("Bound By", "boundBy", is_spare=True),
    Column("Bound At", "boundAt", is_whole=True, is_spare=True),
    Column("Previous", "previousVersionId", is_whole=True, is_spare=True),
)

versions = Group("versions", help="What an asset was at a moment, kept under a label.")


@versions.command("list", cls=Command, examples=["versions list agents Agent scout"])
@asset_arguments
@page_options
@click.pass_obj
def list_versions(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """List an asset's versions, newest first."""
    found = fetch_list(session, f"{asset_path(plugin, kind, name)}/versions", (), "versions", paging_of(options))
    return page_view(found, _VERSIONS, "No versions.", "versionId")


@versions.command("create", cls=Command, examples=["versions create agents Agent scout --label 1.0"])
@asset_arguments
@click.option("--label", required=True, metavar="LABEL", help="What it is called; may be used again.")
@click.option("--reason", metavar="TEXT", help="Why; it goes into the history.")
@click.pass_obj
def create_version(session: Session, /, plugin: str, kind: str, name: str, label: str, reason: str | None) -> View:
    """Keep an asset as it is now."""
    body = {"versionLabel": label, **({"reason": reason} if reason else {})}
    document = session.post(f"{asset_path(plugin, kind, name)}/versions", body)
    fields = [
        ("Version", document.get("versionId")),
        ("Label", document.get("versionLabel")),
        ("Created", f"{document.get('createdAt')} by {document.get('createdBy')}"),
        ("Digest", document.get("contentDigest")),
    ]
    return record_view(document, fields, str(document.get("versionId")))


@click.command("bindings", cls=Command, examples=["bindings agents Agent scout"])
@asset_arguments
@click.pass_obj
def bindings(session: Session, /, plugin: str, kind: str, name: str) -> View:
    """Which version each environment uses."""
    document = session.get(f"{asset_path(plugin, kind, name)}/bindings")
    return list_view(document, document.get("bindings") or [], _BINDINGS, "environment", "No bindings.")


@click.command("promote", cls=Command, examples=["promote agents Agent scout --from dev --to stage"])
@asset_arguments
@click.option("--from", "source", required=True, metavar="NAME", help="The environment whose version it is.")
@click.option("--to", "target", required=True, metavar="NAME", help="The environment that is to use it.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.pass_obj
def promote(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """Let an environment use the version of another one."""
    params = {"fromEnv": options["source"], "toEnv": options["target"]}
    return act_on(session, (plugin, kind, name), "promotion.promote", params, is_dry=options["dry_run"])


@click.command("rollback", cls=Command, examples=["rollback agents Agent scout --env dev --version VERSION_ID --yes"])
@asset_arguments
@click.option("--env", required=True, metavar="NAME", help="The environment.")
@click.option("--version", required=True, metavar="ID", help="The version to go back to.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.pass_obj
def rollback(session: Session, /, plugin: str, kind: str, name: str, **options: Any) -> View:
    """Let an environment use an earlier version again."""
    if not options["dry_run"]:
        session.confirm(f"Roll {options['env']} of {kind} {name!r} back to {options['version']}?")
    params = {"environment": options["env"], "targetVersionId": options["version"]}
    return act_on(session, (plugin, kind, name), "promotion.rollback", params, is_dry=options["dry_run"])
