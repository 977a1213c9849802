"""How a setting is declared: one row with its names, default, kind and purpose."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from catalog_server.settings.kinds import Kind, Secret, SettingsError, T, dsn_type

Derive = Callable[[Mapping[str, Any], Mapping[str, str]], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is the text that an operator would write, or says how it is derived.

    `names` holds the variable and the flag; `path` is `group.field`, filled in by `_build_table`.
    """

    names: str
    default: str
    kind: Kind[Any]
    purpose: str
    derive: Derive | None
    path: str = ""

    @property
    def flag(self) -> str | None:
        return next((name for name in self.names.split() if name.startswith("-")), None)

    @property
    def variable(self) -> str | None:
        return next((name for name in self.names.split() if not name.startswith("-")), None)


def setting(names: str, default: str, kind: Kind[T], purpose: str, derive: Derive | None = None) -> T:
    """Declare a setting. `derive` computes the default from the settings above it."""
    row = Setting(names, default, kind, purpose, derive)
    if row.derive is not None:
        return cast(T, field(metadata={"setting": row}))
    return cast(T, field(default=row.kind.parse(row.default), metadata={"setting": row}))


def default_data_dir(values: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    # The XDG rule: a relative XDG_DATA_HOME is to be ignored.
    base = environ.get("XDG_DATA_HOME", "")
    home = environ.get("HOME", "")
    if os.path.isabs(base):
        return Path(base) / "catalog-server"
    if os.path.isabs(home):
        return Path(home) / ".local/share/catalog-server"
    raise SettingsError(
        "CATALOG_DATA_DIR", "not set, and there is no HOME folder to derive it from; set it to a folder"
    )


def embedded_dsn(values: Mapping[str, Any], environ: Mapping[str, str]) -> Secret:
    return Secret("sqlite:///" + quote(str(values["paths.data_dir"] / "catalog.db")))


def type_of_dsn(values: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    return dsn_type(values["database.dsn"].reveal())


def host_name(values: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return socket.gethostname() or "unknown"
