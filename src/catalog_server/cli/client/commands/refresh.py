"""`refresh`: load sources anew, now. The server answers with a job; where it has none, with the result."""

from __future__ import annotations

from typing import Any

import click

from catalog_server.cli.client.commands.jobs import await_job
from catalog_server.cli.client.commands.options import api_version_option, check_api_version, plugin_option
from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.views import View, record_view


@click.command(
    "refresh",
    cls=Command,
    examples=[
        "refresh --plugin mcp --wait",
        "refresh --plugin skills --source skills-default",
        "refresh trigger --plugin agents",
    ],
)
@click.argument("trigger", type=click.Choice(["trigger"]), required=False, metavar="[trigger]")
@plugin_option(required=True)
@click.option("--source", metavar="ID", help="This source only.")
@click.option("--wait", is_flag=True, help="Wait until it is done; exit status 1 unless it succeeds.")
@click.option("--confirm-removal", is_flag=True, help="Let it remove more than half of a source's entities.")
@api_version_option
@click.pass_obj
def refresh(
    session: Session, /, trigger: str | None, plugin: str, source: str | None, api_version: str, **options: Any
) -> View:
    """Load the sources of a plugin anew, or one of them."""
    found = session.discovery.get(plugin)
    check_api_version(found.base_path, api_version)
    if options["confirm_removal"]:
        session.confirm(f"Let the refresh of {source or plugin} remove more than half of a source?")
    return start_refresh(session, found, source, is_awaited=options["wait"], confirms=options["confirm_removal"])


def start_refresh(
    session: Session, plugin: Plugin, source: str | None, *, is_awaited: bool, confirms: bool = False
) -> View:
    """Ask for a refresh, and wait for its end where that is wanted."""
    path = plugin.management(f"/refresh/{segment(source)}" if source else "/refresh")
    document = session.post(path, query=[("confirmRemoval", "true")] if confirms else [])
    job_id = document.get("jobId")
    if job_id and is_awaited:
        return await_job(session, str(job_id))
    if job_id:
        fields = [("Status", document.get("status")), ("Job", job_id)]
        view = record_view(document, fields, str(job_id))
        return View(document, view.parts, view.names, notes=[f"See how it goes: catalog-cli jobs watch {job_id}"])
    return _result_view(document, source or plugin.name)


def _result_view(document: Any, target: str) -> View:
    """The outcome of a server that refreshes at once. `duration` is in nanoseconds."""
    nanoseconds = document.get("duration")
    fields = [
        ("Refreshed", document.get("sourceId") or target),
        ("Loaded", document.get("entitiesLoaded")),
        ("Removed", document.get("entitiesRemoved")),
        ("Duration", None if nanoseconds is None else f"{nanoseconds / 1e9:.2f} s"),
        ("Error", document.get("error")),
    ]
    code = ExitCode.OTHER if document.get("error") else ExitCode.OK
    return View(document, record_view(document, fields, target).parts, [target], code=code)
