"""Routes as data, and the way from method and path to one of them.

A template may hold `{name}` (one segment) and `{name...}` (the rest, slashes included, greedy). Static paths win over
templates, longer templates over shorter ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from catalog_server.access.permissions import UNKNOWN, Permission
from catalog_server.http.answer_cache import AnswerCache
from catalog_server.http.messages import Endpoint, Request

ErrorStyle = Literal["phrase", "text", "code"]


@dataclass(frozen=True)
class Link:
    """Where to go with an answer: which of its values names what another route takes."""

    status: int
    method: str
    template: str
    parameters: Mapping[str, str]
    """Parameter of the other route -> JSON pointer into this one's answer."""


@dataclass(frozen=True)
class Operation:
    """What the API document says about a route."""

    summary: str
    tag: str
    parameters: tuple[Mapping[str, Any], ...] = ()
    responses: Mapping[int, Mapping[str, Any] | None] = field(default_factory=dict)
    """Status -> schema of the body; None: no body described. Errors are added by openapi.py."""
    errors: tuple[int, ...] = ()
    body: Mapping[str, Any] | None = None
    """Schema of the JSON body that the route takes."""
    content_type: str = "application/json"
    links: tuple[Link, ...] = ()
    path: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Placeholder -> what its schema says beside that it is text."""
    is_text_too: bool = False
    """Whether the client can have plain text instead."""


READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Audited:
    """How the audit events call what a route does (spec platform.md 5.1). Their ids are the route's placeholders."""

    verb: str
    resource_type: str
    plugin: str | None = None


@dataclass(frozen=True)
class Route:
    """One route. `version` gives, for a request, the state that its answer depends on: equal state, equal answer."""

    template: str
    endpoint: Endpoint
    operation: Operation
    method: str = "GET"
    version: Callable[[Request], str] | None = None
    cache: AnswerCache | None = None
    """Of its own, for answers that no query parameter changes; X-Cache tells of it. Needs a `version`."""
    errors: ErrorStyle = "phrase"
    is_probe: bool = False
    """A probe bypasses every middleware (architecture.md 8)."""
    needs_tenant: bool = True
    permission: Permission | None = field(kw_only=True)
    """What the caller needs to have; None: nothing, whoever it is. No default: forgetting it does not type-check."""
    audited: Audited | None = None
    """None for reads, and for no other method."""

    def __post_init__(self) -> None:
        if (self.audited is None) is not (self.method in READS):
            raise ValueError(f"{self.method} {self.template}: what is no read, and nothing else, is audited")

    @property
    def needs_operator(self) -> bool:
        """Whether it changes anything. What is no route at all answers 404 or 405 to everybody."""
        needed = self.permission
        return needed is not None and needed is not UNKNOWN and not needed.is_read


@dataclass(frozen=True)
class _Template:
    """`is_closed`: its end, behind a placeholder that takes slashes, is a path of its own, whatever the method."""

    pattern: re.Pattern[str]
    routes: dict[str, Route]
    is_closed: bool


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._static: dict[str, dict[str, Route]] = {}
        by_template: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            table = by_template if "{" in route.template else self._static
            methods = table.setdefault(route.template, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.template}")
            methods[route.method] = route
        # By the text before the first placeholder; the longest template is tried first.
        self._dynamic: dict[str, list[_Template]] = {}
        for template in sorted(by_template, key=lambda text: (text.count("/"), len(text)), reverse=True):
            is_closed = "/" in template.partition("...}")[2]
            found = _Template(_compile(template), by_template[template], is_closed)
            self._dynamic.setdefault(template.partition("{")[0], []).append(found)

    def match(self, request: Request) -> Mapping[str, Route]:
        """The routes of the request's path by method, empty when there is none; sets the request's parameters."""
        path = request.path
        methods = self._static.get(path)
        if methods is not None:
            return methods
        direct = self._dynamic.get(path[: path.rfind("/") + 1])
        if direct is not None and (found := _first(direct, request)) is not None:
            return found
        for prefix, templates in self._dynamic.items():
            if path.startswith(prefix) and (found := _first(templates, request)) is not None:
                return found
        return {}


def _first(templates: list[_Template], request: Request) -> dict[str, Route] | None:
    """The first template that has the method; else the first that has the path, for a 405.

    A name may end as another template does: `x:action` can be got, though `{name...}:action` is for POST. But where
    `{name...}/history` is a template, `x/history` is the history of x: in a name like that `/` is encoded twice.
    """
    method = "GET" if request.method == "HEAD" else request.method
    found: dict[str, Route] | None = None
    for template in templates:
        match = template.pattern.fullmatch(request.path)
        if match is None or (found is not None and method not in template.routes):
            continue
        found, request.params = template.routes, match.groupdict()
        if method in found or template.is_closed:
            break
    return found


_PLACEHOLDER = re.compile(r"\{([a-z_]+)(\.\.\.)?\}")


def _compile(template: str) -> re.Pattern[str]:
    parts: list[str] = []
    end = 0
    for found in _PLACEHOLDER.finditer(template):
        parts.append(re.escape(template[end : found.start()]))
        parts.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        end = found.end()
    parts.append(re.escape(template[end:]))
    return re.compile("".join(parts), re.DOTALL)


def decode_name(request: Request, name: str = "name") -> str:
    """A name out of the path, decoded once more: some clients encode `/` twice (spec plugins.md 1.1)."""
    value = request.params[name]
    return unquote(value) if "%" in value else value
