"""`audit`: who changed what. `export` gives all events as lines of JSON, as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import click

from catalog_server.cli.client.commands.entity_listing import paging_of
from catalog_server.cli.client.commands.options import fetch_list, page_options, page_view, plugin_option
from catalog_server.cli.client.failures import Failure
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Table
from catalog_server.cli.client.transport import Query
from catalog_server.cli.client.views import View

F = TypeVar("F", bound=Callable[..., Any])
PATH: Final = "/api/audit/v1alpha1/events"
_NEXT: Final = re.compile(r'<([^<>]*)>\s*;\s*rel="?next"?')

_COLUMNS: Final = (
    Column("Time", "createdAt", is_whole=True),
    Column("Actor", "actor"),
    Column("Action", lambda event: event.get("actionVerb") or event.get("action")),
    Column("Outcome", "outcome"),
    Column("Plugin", "plugin", is_spare=True),
    Column("Resources", "resourceIds"),
    Column("ID", "id", is_whole=True, is_spare=True),
    Column("Type", "eventType", is_wide=True),
    Column("Status", "statusCode", is_wide=True),
    Column("Reason", "reason", is_wide=True),
    Column("Correlation ID", "correlationId", is_whole=True, is_wide=True),
)

audit = Group("audit", help="Who changed what. Without a command: list.", default="list")


def event_options(command: F) -> F:
    """Which events."""
    for option in reversed(
        (
            click.option("--actor", metavar="NAME", help="Who did it."),
            plugin_option(help="Events of this plugin."),
            click.option("--action", metavar="VERB", help="What was done, for example apply-source."),
            click.option("--event-type", metavar="TYPE", help="management: a request; job: the end of a job."),
            click.option("--outcome", metavar="OUTCOME", help="success, denied, failure or canceled."),
            click.option("--correlation-id", metavar="ID", help="What belongs together."),
            click.option("--resource", metavar="ID", help="A source, an entity or a job."),
            click.option("--since", metavar="TIME", help="Not before this time (RFC 3339)."),
            click.option("--until", metavar="TIME", help="Before this time (RFC 3339)."),
        )
    ):
        command = option(command)
    return command


@audit.command("list", cls=Command, examples=["audit list", "audit list --outcome denied --since 2026-01-01T00:00:00Z"])
@event_options
@page_options
@click.pass_obj
def list_events(session: Session, /, **options: Any) -> View:
    """List events, newest first."""
    found = fetch_list(session, PATH, _query(options), "events", paging_of(options))
    return page_view(found, _COLUMNS, "No events found.")


@audit.command("get", cls=Command, examples=["audit get EVENT"])
@click.argument("event")
@click.pass_obj
def get_event(session: Session, /, event: str) -> View:
    """Show one event with all that it tells."""
    document = session.get(f"{PATH}/{segment(event)}")
    return View(document, [Fields(list(document.items()))], [str(document.get("id", event))])


@audit.command("export", cls=Command, examples=["audit export", "audit export --actor olivia -o json"])
@event_options
@click.pass_obj
def export_events(session: Session, /, **options: Any) -> View:
    """Print all events, newest first, one JSON object per line unless -o says otherwise."""
    events = _export(session, [(name, value) for name, value in _query(options) if value])
    form = session.form_or("jsonl") if session.flags.output else "jsonl"
    if form == "jsonl":
        return View(None, (), entries=events, form=form)
    found = list(events)
    document = {"events": found, "size": len(found)}
    return View(document, [Table(_COLUMNS, found, "No events found.")], [str(one["id"]) for one in found], found)


def _export(session: Session, query: Query) -> Iterator[Any]:
    """All events, answer by answer, each of which names the next one."""
    seen = set[str]()
    while True:
        answer = session.transport.call("GET", f"{PATH}:export", query)
        for line in answer.body.splitlines():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise Failure("a line of the export is no JSON", status=answer.status) from error
        following = _NEXT.search(answer.headers.get("link", ""))
        if following is None or following[1] in seen:
            return
        seen.add(following[1])
        query = parse_qsl(urlsplit(following[1]).query, keep_blank_values=True)


def _query(options: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        ("actor", options["actor"]),
        ("plugin", options["plugin"]),
        ("action", options["action"]),
        ("eventType", options["event_type"]),
        ("outcome", options["outcome"]),
        ("correlationId", options["correlation_id"]),
        ("resourceId", options["resource"]),
        ("since", options["since"]),
        ("until", options["until"]),
    ]
