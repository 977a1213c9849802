"""`doctor`: looks for what keeps this client from working, step by step, and says what would help."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

from catalog_server import __version__
from catalog_server.cli.client import environment
from catalog_server.cli.client.failures import ExitCode, Failure
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.protocol import entries_of
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Column, Table
from catalog_server.cli.client.views import View

_COLUMNS = (Column("Check", "check", is_whole=True), Column("Result", "result"), Column("Message", "message"))
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Finding:
    """`result`: ok, warning or failed. `code`: the exit status that a failure asks for."""

    check: str
    result: str
    message: str
    code: ExitCode = ExitCode.OK


@click.command("doctor", cls=Command, examples=["doctor"])
@click.pass_obj
def doctor(session: Session, /) -> View:
    """Check configuration, connection, readiness, namespace, permissions and cache.

    The exit status is that of the first check that failed.
    """
    findings = [_run(name, check, session) for name, check in _CHECKS.items()]
    rows: list[dict[str, Any]] = [
        {"check": one.check, "result": one.result, "message": one.message} for one in findings
    ]
    code = next((one.code for one in findings if one.result == "failed"), ExitCode.OK)
    return View({"ok": code == ExitCode.OK, "checks": rows}, [Table(_COLUMNS, rows)], [], rows, code=code)


def _run(name: str, check: Callable[[Session], Iterator[str]], session: Session) -> Finding:
    """What a check yields is a warning but for the last, which says what is well."""
    try:
        *warnings, well = check(session)
    except Failure as failure:
        return Finding(name, "failed", failure.line, failure.code)
    return Finding(name, "warning", "; ".join(warnings)) if warnings else Finding(name, "ok", well)


def _check_configuration(session: Session) -> Iterator[str]:
    path = environment.config_path()
    known = session.config
    if known and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield f"{path} can be read by others; chmod 600 it"
    yield f"{path}: {len(known)} keys" if known else f"{path}: not there, defaults and variables count"


def _check_connection(session: Session) -> Iterator[str]:
    parts = urlsplit(session.transport.base)
    if parts.scheme == "http" and "Authorization" in session.headers and parts.hostname not in _LOOPBACK:
        yield "the token is sent without TLS"
    if parts.scheme == "https" and not session.transport.target.is_verified:
        yield "the server's certificate is not verified"
    answer = session.transport.call("GET", "/livez")
    yield f"{session.server} answers: {answer.object().get('status')}"


def _check_readiness(session: Session) -> Iterator[str]:
    answer = session.transport.send("GET", "/readyz")
    found = answer.object()
    if answer.status != 200:
        ill = [f"{name} {one.get('status')}" for name, one in (found.get("components") or {}).items()]
        raise Failure(f"{found.get('status')}: {', '.join(ill)}", ExitCode.UNAVAILABLE)
    yield str(found.get("status"))


def _check_version(session: Session) -> Iterator[str]:
    served = session.get("/openapi.json").get("info", {}).get("version")
    if served != __version__:
        yield f"the server is {served}, this client {__version__}"
    yield f"client and server are {__version__}"


def _check_namespace(session: Session) -> Iterator[str]:
    found = session.get("/api/tenancy/v1alpha1/namespaces")
    served = found.get("namespaces") or []
    if found.get("mode") == "namespace" and not session.namespace:
        raise Failure("the server wants a namespace: -n, CATALOG_NAMESPACE or `catalog-cli config set namespace NAME`")
    if session.namespace and served and session.namespace not in served:
        yield f"{session.namespace!r} is not one of the server's: {', '.join(served)}"
    yield f"mode {found.get('mode')}, namespace {session.namespace or 'default'}"


def _check_plugins(session: Session) -> Iterator[str]:
    found = entries_of(session.get("/api/plugins"), "plugins")
    ill = [one["name"] for one in found if not one.get("healthy")]
    if ill:
        yield f"not healthy: {', '.join(ill)}"
    yield f"{len(found)} plugins, all healthy"


def _check_cache(session: Session) -> Iterator[str]:
    folder = environment.cache_folder()
    session.discovery.plugins()
    if not session.flags.no_cache and not folder.is_dir():
        yield f"{folder} cannot be written to: each use of a plugin's commands costs a call more"
    yield f"{folder}"


_CHECKS: dict[str, Callable[[Session], Iterator[str]]] = {
    "configuration": _check_configuration,
    "connection": _check_connection,
    "readiness": _check_readiness,
    "version": _check_version,
    "namespace": _check_namespace,
    "plugins": _check_plugins,
    "cache": _check_cache,
}
