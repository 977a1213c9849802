"""`status`, `health`, `namespaces`, `version`, `ui`: how the server is. A 503 is an answer here, no error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from catalog_server import __version__
from catalog_server.cli.client.commands.options import api_version_option, check_api_version, plugin_option
from catalog_server.cli.client.commands.plugins import COLUMNS
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.protocol import entries_of
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table, Text
from catalog_server.cli.client.transport import refusal
from catalog_server.cli.client.views import View, record_view


@click.command("status", cls=Command, examples=["status", "status -o json", "status --plugin mcp"])
@plugin_option(help="How the sources of this plugin fare, instead.")
@api_version_option
@click.pass_obj
def status(session: Session, /, plugin: str | None, api_version: str) -> View:
    """Show whether the server works: its health, its readiness with all components, its plugins.

    Exit status 8 when it is not ready.
    """
    if plugin:
        from catalog_server.cli.client.commands.diagnostics import diagnostics_view

        found = session.discovery.get(plugin)
        check_api_version(found.base_path, api_version)
        return diagnostics_view(session, found)
    health = _probe(session, "/healthz")
    ready = _probe(session, "/readyz")
    plugins, problem = _plugins(session)
    document = {"server": session.server, "health": health, "ready": ready, "plugins": plugins}
    fields = [
        ("Server", session.server),
        ("Health", health.get("status")),
        ("Uptime", health.get("uptime")),
        ("Ready", ready.get("status")),
        ("Plugins", None if plugins is None else len(plugins)),
    ]
    parts: list[Part] = [Fields(fields), _components(ready), Table(COLUMNS, plugins or ())]
    return View(document, parts, [str(ready.get("status"))], notes=problem, code=_code(ready))


@click.command("health", cls=Command, examples=["health"])
@click.pass_obj
def health(session: Session, /) -> View:
    """Show whether the server lives and is ready. Exit status 8 when it is not ready."""
    alive, ready = _probe(session, "/healthz"), _probe(session, "/readyz")
    rows = [
        {"check": "Liveness", "status": alive.get("status")},
        {"check": "Uptime", "status": alive.get("uptime")},
        {"check": "Readiness", "status": ready.get("status")},
    ]
    table = Table((Column("Check", "check"), Column("Status", "status")), rows)
    document = {"health": alive, "readiness": ready}
    return View(document, [table], [str(ready.get("status"))], code=_code(ready))


@click.command("namespaces", cls=Command, examples=["namespaces"])
@click.pass_obj
def namespaces(session: Session, /) -> View:
    """List the tenants that the server serves."""
    document = session.get("/api/tenancy/v1alpha1/namespaces")
    names = [str(name) for name in entries_of(document, "namespaces")]
    table = Table([Column("Namespace", str, is_whole=True)], names, "Any namespace is served.")
    return View(document, [Text([f"Tenancy mode: {document.get('mode')}"]), table], names, names)


@click.command("version", cls=Command, examples=["version", "version --client"])
@click.option("--server", is_flag=True, expose_value=False, hidden=True, help="The server's version, too, as always.")
@click.option("--client", "is_client", is_flag=True, help="The version of this client alone; nothing is asked.")
@click.pass_obj
def version(session: Session, /, is_client: bool) -> View:
    """Show the versions of client and server. Exit status 8 when the server does not answer."""
    if is_client:
        return record_view({"client": __version__}, [("Client", __version__)], __version__)
    try:
        served = session.get("/openapi.json").get("info", {}).get("version")
    except Failure as failure:
        document = {"client": __version__, "server": None, "problem": failure.message}
        fields = [("Client", __version__), ("Server", f"unknown: {failure.message}")]
        return View(document, [Fields(fields)], [__version__], code=failure.code)
    document = {"client": __version__, "server": served}
    return View(document, [Fields([("Client", __version__), ("Server", served)])], [__version__, str(served)])


@click.command("ui", cls=Command, examples=["ui"])
@click.option("--open", "is_opened", is_flag=True, help="Open it in a browser, too.")
@click.pass_obj
def ui(session: Session, /, is_opened: bool) -> View:
    """Show the address of the server's page for people."""
    address = f"{session.transport.base}/"
    if is_opened:
        import webbrowser

        if not webbrowser.open(address):
            raise Failure(f"there is no browser to open {address} with")
    return View({"url": address}, [Text([address])], [address])


def _probe(session: Session, path: str) -> dict[str, Any]:
    """What a probe says, whether it is content or not."""
    answer = session.transport.send("GET", path)
    found = answer.json() if answer.status in (200, 503) else None
    if not isinstance(found, dict) or "status" not in found:
        raise refusal(answer) if answer.status >= 300 else Failure(f"{path} does not answer as a catalog-server does")
    return found


def _code(ready: Mapping[str, Any]) -> ExitCode:
    return ExitCode.OK if ready.get("status") == "ready" else ExitCode.UNAVAILABLE


def _plugins(session: Session) -> tuple[list[Any] | None, list[str]]:
    """The plugins, or why they are not known: the namespace may be missing, or the caller not allowed to see them."""
    try:
        return entries_of(session.get("/api/plugins"), "plugins"), []
    except Failure as failure:
        return None, [f"plugins: {failure.line}"]


def _components(ready: Mapping[str, Any]) -> Table:
    rows = [{"component": name, **found} for name, found in (ready.get("components") or {}).items()]
    for row in rows:
        row["details"] = row.get("details") or row.get("error")
    columns = (Column("Component", "component"), Column("Status", "status"), Column("Details", "details"))
    return Table(columns, rows)
