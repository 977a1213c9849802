"""The environment of the client: the one module of it that reads variables.

Not for the server's variables: those are in catalog_server.settings, which the client does not import.
"""

from __future__ import annotations

import os
from pathlib import Path

APPLICATION = "catalog-cli"


def variable(*names: str) -> str:
    """The first of these variables that is set and not empty, else empty."""
    return next((found for name in names if (found := os.environ.get(name, ""))), "")


def config_path() -> Path:
    """Where `config set` writes: `CATALOG_CLI_CONFIG`, else a file in the XDG folder for configuration."""
    given = variable("CATALOG_CLI_CONFIG")
    return Path(given) if given else _folder("XDG_CONFIG_HOME", ".config") / "config.json"


def cache_folder() -> Path:
    """Where discovered plugins are kept: a folder in the XDG folder for caches."""
    return _folder("XDG_CACHE_HOME", ".cache")


def wants_colour(is_terminal: bool) -> bool:
    """https://no-color.org: any value of NO_COLOR says no."""
    return is_terminal and not variable("NO_COLOR") and variable("TERM") != "dumb"


def _folder(name: str, default: str) -> Path:
    # A relative path is to be ignored (XDG Base Directory Specification).
    given = variable(name)
    base = Path(given) if given.startswith("/") else Path(variable("HOME") or "/") / default
    return base / APPLICATION
