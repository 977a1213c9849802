"""`config`: what this client is set to, and where each value comes from. A token is never shown."""

from __future__ import annotations

from typing import Final

import click

from catalog_server.cli.client import config, environment
from catalog_server.cli.client.framework import Command, Group
from catalog_server.cli.client.session import DEFAULT_SERVER, DEFAULT_TIMEOUT_SECONDS, Session
from catalog_server.cli.client.tables import Column, Fields, Table
from catalog_server.cli.client.views import View, record_view

_VARIABLES: Final = {
    "server": ("CATALOG_SERVER", "CATALOG_SERVER_BASE_URL"),
    "namespace": ("CATALOG_NAMESPACE",),
    "token": ("CATALOG_TOKEN",),
}
_DEFAULTS: Final = {"server": DEFAULT_SERVER, "timeout": f"{DEFAULT_TIMEOUT_SECONDS:g}", "output": "table"}

configuration = Group("config", help="Settings of this client. Without a command: view.", default="view")


@configuration.command("view", cls=Command, examples=["config view", "config view -o json"])
@click.pass_obj
def view(session: Session, /) -> View:
    """Show all settings, and whether each is from a flag, a variable, the file or a default."""
    rows = [_row(session, key) for key in config.KEYS]
    shown = [row for row in rows if row["value"]]
    path = str(environment.config_path())
    table = Table((Column("Key", "key", is_whole=True), Column("Value", "value"), Column("From", "from")), shown)
    return View(
        {"path": path, "settings": shown}, [Fields([("File", path)]), table], [row["key"] for row in shown], shown
    )


@configuration.command(
    "set", cls=Command, examples=["config set server http://localhost:8080", "config set namespace team-red"]
)
@click.argument("key", type=click.Choice(list(config.KEYS)))
@click.argument("value")
@click.pass_obj
def set_value(session: Session, /, key: str, value: str) -> View:
    """Keep a setting in the file. An empty VALUE removes it."""
    path = environment.config_path()
    config.save(path, config.changed(session.config, key, value))
    shown = config.redacted({key: value})[key]
    return record_view({"path": str(path), "key": key, "value": shown}, [("File", str(path)), (key, shown)], key)


def _row(session: Session, key: str) -> dict[str, str]:
    """One setting: the first of flag, variable, file and default that has a value."""
    flags = {
        "groups": ",".join(session.flags.group),
        "insecure-skip-verify": "true" * session.flags.insecure_skip_verify,
    }
    flag = flags[key] if key in flags else getattr(session.flags, key.replace("-", "_"), None)
    candidates = (
        (flag or "", "flag"),
        (environment.variable(*_VARIABLES.get(key, ())), "variable"),
        (session.config.get(key, ""), "file"),
        (_DEFAULTS.get(key, ""), "default"),
    )
    value, origin = next(((value, origin) for value, origin in candidates if value), ("", ""))
    return {"key": key, "value": config.redacted({key: value})[key] if value else "", "from": origin}
