"""`api`: any route of the server, for what has no command of its own."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from catalog_server.cli.client.commands.actions import parse_param
from catalog_server.cli.client.failures import Failure, Usage
from catalog_server.cli.client.framework import Command
from catalog_server.cli.client.manifests import parse_document, read_text
from catalog_server.cli.client.rendering import STRUCTURED
from catalog_server.cli.client.session import Session
from catalog_server.cli.client.tables import Text
from catalog_server.cli.client.text import lines_of
from catalog_server.cli.client.transport import Answer
from catalog_server.cli.client.views import View

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_KEPT: Final = "/:%?&=,*@!$'()+;~"


@click.command(
    "api",
    cls=Command,
    examples=[
        "api /api/mcp_catalog/v1alpha1/labels",
        "api '/readyz?verbose'",
        "api /api/assets --query q=review -o yaml",
    ],
)
@click.argument("path")
@click.option("--method", "-X", type=click.Choice(_METHODS, case_sensitive=False), help="GET, or POST with a body.")
@click.option("--query", "queries", multiple=True, metavar="KEY=VALUE", help="A parameter; repeatable.")
@click.option("--file", "-f", "file", metavar="PATH", help="The body, JSON or YAML; -: stdin.")
@click.pass_obj
def api(session: Session, /, path: str, method: str | None, queries: tuple[str, ...], file: str | None) -> View:
    """Call any route. The paths are in /openapi.json; the answer is shown as it is."""
    if not path.startswith("/"):
        raise Usage(f"{path!r} is no path; one starts with a slash")
    query = [(key, str(value)) for key, value in map(parse_param, queries)]
    body = parse_document(read_text(file), file) if file else None
    chosen = method or ("POST" if file else "GET")
    document = _document(session.transport.call(chosen, quote(path, safe=_KEPT), query, body))
    if isinstance(document, str):
        return View(document, [Text(lines_of(document.rstrip("\n")))])
    return View(document, (), form=session.form if session.form in STRUCTURED else "json")


def _document(answer: Answer) -> Any:
    """JSON as its value, another text as a text."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json" or not answer.body:
        return answer.json() if answer.body else None
    try:
        return answer.body.decode()
    except UnicodeError as error:
        raise Failure(f"the answer is no text but {kind or 'of no type'}", status=answer.status) from error
