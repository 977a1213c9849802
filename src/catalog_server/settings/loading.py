"""From flags, environment and defaults to checked settings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, NoReturn

from catalog_server import __version__
from catalog_server.settings.groups import GROUPS, TABLE, Settings
from catalog_server.settings.kinds import SettingsError, TextRequested, UsageError, dsn_type
from catalog_server.settings.table import Setting

MIGRATE: Final = "migrate"
"""The word that makes it migrate and end."""


def usage_text(*, with_variables: bool = True) -> str:
    """The text of `--help`; without the variables it is what a wrong command line gets to see."""
    usage = "catalog-server [--flag value | --flag=value ...]"
    lines = [f"usage: {usage}", f"       {usage.replace(' ', f' {MIGRATE} ', 1)}", ""]
    lines += [f"  {MIGRATE:<16}Bring the database to the schema of this version, and end.", "", "Flags:"]
    lines += [f"  {row.flag:<16}{row.purpose} Default: {row.default}." for row in TABLE if row.flag]
    lines += [f"  {'--help':<16}Show all settings.", f"  {'--version':<16}Show the version."]
    if with_variables:
        lines += ["", "Variables (a flag wins over its variable; an empty value counts as unset):"]
        for row in (row for row in TABLE if row.variable):
            lines += [f"  {row.variable}", f"      {row.purpose} Default: {row.default or 'none'}."]
            lines += [f"      Use {row.kind.allowed}."]
    return "\n".join(lines) + "\n"


def _parse_flags(argv: Sequence[str]) -> dict[str, str]:
    """Flag → value, in the manner of Go: one or two dashes, `-name value` or `-name=value`, the last one wins."""
    flags = {row.flag: row for row in TABLE if row.flag}
    given: dict[str, str] = {}
    words = iter(enumerate(argv, start=1))
    for number, word in words:
        match = re.fullmatch(r"--?([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", word, flags=re.DOTALL)
        if match is None:
            # Not echoed: it may be a connection string that lost its flag.
            raise UsageError(f"argument {number}", "is not a flag; flags are --name value or --name=value")
        name = f"--{match[1]}"
        if name in ("--help", "--h"):
            raise TextRequested(usage_text())
        if name == "--version":
            raise TextRequested(f"catalog-server {__version__}\n")
        if name not in flags:
            raise UsageError(name, "unknown flag")
        value = match[2] if match[2] is not None else next(words, (0, None))[1]
        if value is None:
            raise UsageError(name, "needs a value")
        repeated = name == "--sources" and name in given
        given[name] = f"{given[name]},{value}" if repeated else value
    return given


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings from flags, then variables, then defaults.

    Raises SettingsError (UsageError for the command line itself), and TextRequested for `--help` and `--version`.
    """
    flags = _parse_flags(argv)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for row in TABLE:
        for origin, text in (
            (row.flag, flags.get(row.flag or "", "")),
            (row.variable, environ.get(row.variable or "", "")),
        ):
            if origin and text.strip() and row.path not in origins:
                values[row.path] = _parse_value(row, origin, text.strip())
                origins[row.path] = origin
        if row.path not in origins:
            values[row.path] = row.derive(values, environ) if row.derive else row.kind.parse(row.default)
    _check_database(values, origins)
    _check_lease(values, origins)
    _check_jwt(values)
    groups = {
        name: group(**{f.name: values[f"{name}.{f.name}"] for f in fields(group)}) for name, group in GROUPS.items()
    }
    return Settings(**groups, given=frozenset(origins))


def _parse_value(row: Setting, origin: str, text: str) -> Any:
    try:
        return row.kind.parse(text)
    except ValueError:
        # No cause: the text of a parser's error may repeat a secret.
        raise SettingsError(origin, f"{_shown(row, text)} is not allowed; use {row.kind.allowed}") from None


def _shown(row: Setting, text: str) -> str:
    # A connection string that was put into the wrong variable must not end up in a log either.
    if row.kind.secret or "@" in text or "password" in text.lower():
        return "the value (hidden, it may hold a secret)"
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _check_database(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    wanted, dsn_origin = values["database.type"], origins.get("database.dsn")
    type_origin = origins.get("database.type", "DATABASE_TYPE")
    if dsn_origin is None:
        if wanted != "sqlite":
            raise SettingsError(type_origin, f"{wanted!r} needs a connection string; set DATABASE_DSN or --db-dsn")
        return
    implied = dsn_type(values["database.dsn"].reveal())
    if implied is None and wanted is None:
        raise SettingsError(
            dsn_origin,
            "the value (hidden, it may hold a secret) is not a known kind of connection string; use postgres://…,"
            " mysql://…, user:password@tcp(host:3306)/name, sqlite:////path or host=… dbname=…",
        )
    if implied is not None and implied != wanted:
        raise SettingsError(
            type_origin, f"{wanted!r} contradicts {dsn_origin}, which is a {implied} connection string; use {implied!r}"
        )


def _check_lease(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """A leader must notice the loss of its lease before another one may take it, and must have had time to retry."""
    paths = [f"leader_election.{name}_seconds" for name in ("lease_duration", "renew_deadline", "retry_period")]
    duration, renew, retry = (values[path] for path in paths)
    if duration > renew > retry:
        return
    names = ("CATALOG_LEADER_LEASE_DURATION", "CATALOG_LEADER_RENEW_DEADLINE", "CATALOG_LEADER_RETRY_PERIOD")
    blamed = next((origins[path] for path in paths if path in origins), names[0])
    texts = " > ".join(f"{name} ({values[path]})" for name, path in zip(names, paths, strict=True))
    raise SettingsError(
        blamed, f"{texts} does not hold; use a lease duration above the renew deadline above the retry period"
    )


def _check_jwt(values: Mapping[str, Any]) -> None:
    """Without a key every token would be believed, so that has to be asked for (spec http-api.md 5)."""
    if values["authentication.mode"] != "jwt":
        return
    has_pem = values["authentication.jwt_public_key_path"] is not None
    has_jwks = bool(values["authentication.jwt_jwks"])
    if has_pem and has_jwks:
        raise SettingsError(
            "CATALOG_JWT_JWKS",
            "contradicts CATALOG_JWT_PUBLIC_KEY_PATH; set one of them, a key set can hold several keys",
        )
    if not (has_pem or has_jwks or values["authentication.jwt_allow_unverified"]):
        raise SettingsError(
            "CATALOG_AUTH_MODE",
            "'jwt' needs a key; set CATALOG_JWT_PUBLIC_KEY_PATH or CATALOG_JWT_JWKS, or"
            " CATALOG_JWT_ALLOW_UNVERIFIED=true behind a proxy that verifies tokens",
        )


def load_or_exit(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """`load` for a `main`: answers `--help`, and ends the process with 2 (usage) or 1 (a wrong setting)."""
    try:
        return load(sys.argv[1:] if argv is None else argv, os.environ if environ is None else environ)
    except TextRequested as request:
        sys.stdout.write(request.text)
        sys.exit(0)
    except UsageError as error:
        _fail(f"{error.message}\n{usage_text(with_variables=False)}", 2)
    except SettingsError as error:
        _fail(f"{error.message}\n", 1)


def _fail(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"catalog-server: {text}")
    sys.exit(status)
