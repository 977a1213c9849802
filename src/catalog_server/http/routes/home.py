"""A small page at `/` for people who open the address in a browser."""

from __future__ import annotations

from html import escape

from catalog_server import __version__
from catalog_server.http.messages import Request, Response
from catalog_server.http.router import Operation, Route
from catalog_server.http.services import Services

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem;color:#151515}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}"
    "a{color:#06c}code{background:#f2f2f2;padding:.1rem .3rem}"
)
_SECURITY = (
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


def home_routes(services: Services) -> list[Route]:
    def home(request: Request) -> Response:
        rows = "".join(
            f"<tr><td>{escape(plugin.display_name)}</td><td>{escape(plugin.description)}</td>"
            f'<td><a href="{escape(plugin.list_path)}">{escape(plugin.kind.plural)}</a></td></tr>'
            for plugin in services.registry
        )
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Catalog</title>'
            f"<style>{_STYLE}</style></head><body><h1>Catalog</h1>"
            f"<p>catalog-server {escape(__version__)}. The API is described by "
            '<a href="/openapi.json">/openapi.json</a>, its plugins by <a href="/api/plugins">/api/plugins</a>, '
            'its health by <a href="/readyz">/readyz</a>.</p>'
            "<table><thead><tr><th>Plugin</th><th>Holds</th><th>Entities</th></tr></thead>"
            f"<tbody>{rows}</tbody></table></body></html>\n"
        )
        return Response(200, page.encode(), _SECURITY, b"text/html; charset=utf-8")

    operation = Operation("A page for people", "home", responses={200: None}, content_type="text/html")
    return [Route("/", home, operation, needs_tenant=False, permission=None)]
