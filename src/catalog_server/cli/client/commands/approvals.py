"""`approvals`: changes that wait for people, and what those say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from catalog_server.cli.client.commands.entity_listing import paging_of
from catalog_server.cli.client.commands.governance import BASE
from catalog_server.cli.client.commands.options import fetch_list, page_options, page_view
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.protocol import segment
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table
from catalog_server.cli.client.views import View, record_view

F = TypeVar("F", bound=Callable[..., Any])
PATH: Final = f"{BASE}/approvals"
STATUSES: Final = ("pending", "approved", "denied", "canceled", "expired", "all")

_COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("Asset", lambda request: _asset(request), is_whole=True),
    Column("Wants", "actionParams.state"),
    Column("Status", "status", is_spare=True),
    Column("Requester", "requester", is_spare=True),
    Column("Policy", "policyId", is_spare=True),
    Column("Created", "createdAt", is_whole=True, is_spare=True),
    Column("Expires", "expiresAt", is_whole=True, is_wide=True),
    Column("Action", "action", is_wide=True),
    Column("Reason", "reason", is_wide=True),
)
_DECISIONS: Final = (
    Column("Reviewer", "reviewer"),
    Column("Verdict", "verdict"),
    Column("Time", "createdAt", is_whole=True),
    Column("Comment", "comment"),
)

approvals = Group("approvals", help="Changes that wait for people. Without a command: list.", default="list")


def answer_options(command: F) -> F:
    """Which request, and what is said about it."""
    command = click.option("--comment", metavar="TEXT", help="Why.")(command)
    return click.argument("request")(command)


@approvals.command("list", cls=Command, examples=["approvals list", "approvals list --status all -o wide"])
@click.option("--status", type=click.Choice(STATUSES), default="pending", show_default=True, help="In this state only.")
@click.option("--asset", metavar="UID", help="Of this asset only, as plugin:kind:name.")
@page_options
@click.pass_obj
def list_requests(session: Session, /, status: str, asset: str | None, **options: Any) -> View:
    """List approval requests, newest first."""
    query = [("status", None if status == "all" else status), ("assetUid", asset)]
    found = fetch_list(session, PATH, query, "requests", paging_of(options))
    return page_view(found, _COLUMNS, "No approval requests.")


@approvals.command("get", cls=Command, examples=["approvals get REQUEST"])
@click.argument("request")
@click.pass_obj
def get_request(session: Session, /, request: str) -> View:
    """Show one request with its decisions."""
    document = session.get(f"{PATH}/{segment(request)}")
    fields = [
        ("Request", document.get("id")),
        ("Asset", _asset(document)),
        ("Action", document.get("action")),
        ("Wants", (document.get("actionParams") or {}).get("state")),
        ("Status", document.get("status")),
        ("Requester", document.get("requester")),
        ("Reason", document.get("reason")),
        ("Policy", document.get("policyId")),
        ("Approvals needed", document.get("requiredCount")),
        ("Created", document.get("createdAt")),
        ("Expires", document.get("expiresAt")),
        ("Resolved", document.get("resolvedAt")),
        ("Resolved by", document.get("resolvedBy")),
        ("Note", document.get("resolutionNote")),
    ]
    decisions = document.get("decisions") or []
    parts: list[Part] = [Fields(fields), *([Table(_DECISIONS, decisions)] if decisions else [])]
    return View(document, parts, [str(document.get("id", request))])


@approvals.command("approve", cls=Command, examples=["approvals approve REQUEST --comment 'Looks good'"])
@answer_options
@click.pass_obj
def approve(session: Session, /, request: str, comment: str | None) -> View:
    """Approve; the change is made when enough have approved. Who asked for it cannot."""
    return _decide(session, request, "approve", comment)


@approvals.command("reject", cls=Command, examples=["approvals reject REQUEST --comment 'No owner yet'"])
@answer_options
@click.pass_obj
def reject(session: Session, /, request: str, comment: str | None) -> View:
    """Deny."""
    return _decide(session, request, "deny", comment)


@approvals.command("cancel", cls=Command, examples=["approvals cancel REQUEST --comment 'Not now'"])
@answer_options
@click.pass_obj
def cancel(session: Session, /, request: str, comment: str | None) -> View:
    """Take a request back."""
    document = session.post(f"{PATH}/{segment(request)}/cancel", {"reason": comment} if comment else {})
    return _outcome(document, request, str(document.get("status")))


def _decide(session: Session, request: str, verdict: str, comment: str | None) -> View:
    body = {"verdict": verdict, **({"comment": comment} if comment else {})}
    document = session.post(f"{PATH}/{segment(request)}/decisions", body)
    return _outcome(document, request, str(document.get("decision")))


def _outcome(document: Mapping[str, Any], request: str, said: str) -> View:
    result = document.get("result") or {}
    fields = [
        ("Request", document.get("requestId", request)),
        ("Decision", said),
        ("Status", document.get("status")),
        ("Approvals", document.get("approvesCount")),
        ("Denials", document.get("deniesCount")),
        ("Needed", document.get("requiredCount")),
        ("Result", result.get("message")),
    ]
    return record_view(document, [(label, value) for label, value in fields if value is not None], request)


def _asset(request: Mapping[str, Any]) -> str:
    asset = request.get("assetRef") or {}
    return "/".join(str(asset.get(part, "")) for part in ("plugin", "kind", "name"))
