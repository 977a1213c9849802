"""How the sources of a plugin fare. For `sources diagnostics` and `status --plugin`."""

from __future__ import annotations

from typing import Any, Final

from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.protocol import entries_of
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Fields, Part, Table
from catalog_server.cli.client.views import View

_COLUMNS: Final = (
    Column("ID", "id", is_whole=True),
    Column("Name", "name"),
    Column("State", "state"),
    Column("Entities", "entityCount"),
    Column("Last Refresh", "lastRefreshTime", is_whole=True, is_spare=True),
    Column("Duration", lambda source: show_nanoseconds(source.get("lastRefreshDuration")), is_spare=True),
    Column("Error", "error"),
)
_ERROR_COLUMNS: Final = (
    Column("Time", "time"),
    Column("Source", lambda error: error.get("source") or "(plugin)"),
    Column("Active Error", "message"),
)


def diagnostics_view(session: Session, plugin: Plugin, source: str = "") -> View:
    """All sources of the plugin, or the one that is named.

    Raises:
        Failure: there is no source of this id.
    """
    document = session.get(plugin.management("/diagnostics"))
    sources = [one for one in entries_of(document, "sources") if source in ("", one["id"])]
    if source and not sources:
        raise Failure(f'source "{source}" not found in plugin {plugin.name}', ExitCode.NOT_FOUND, word="not_found")
    errors = [one for one in document.get("errors") or () if source in ("", one.get("source"))]
    shown = {**document, "sources": sources, **({"errors": errors} if "errors" in document else {})}
    store = document.get("persistence") or {}
    fields: list[tuple[str, Any]] = [
        ("Plugin", document.get("pluginName")),
        ("Last Refresh", document.get("lastRefresh")),
        ("Config Version", document.get("configVersion")),
        ("Config Store", f"{store.get('mode')}, {'writable' if store.get('writable') else 'read-only'}"),
    ]
    if problem := store.get("reason") or store.get("error"):
        fields.append(("Store Problem", problem))
    parts: list[Part] = [Fields(fields), Table(_COLUMNS, sources, "No sources found."), Table(_ERROR_COLUMNS, errors)]
    return View(shown, parts, [str(one["id"]) for one in sources], sources)


def show_nanoseconds(value: Any) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value / 1e6:.0f} ms" if value < 1e9 else f"{value / 1e9:.2f} s"
