"""Query parameters -> typed values. Each rule is the kind's own (schema ListRules), each error names the parameter."""

from __future__ import annotations

import re

from catalog_server.catalog.configuration import Configuration
from catalog_server.catalog.named_queries import NamedQuery
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery
from catalog_server.clock import parse_ms
from catalog_server.errors import Invalid, TooLarge
from catalog_server.http.messages import Request
from catalog_server.schema.kind import ListRules

_INTEGER = re.compile(r"[+-]?[0-9]+")
MAX_TEXT = 1024
_KEPT_BYTES = 1024
_KEPT_QUERIES = 1024
_TOKENS = ("pageToken", "nextPageToken")


class ListQueries:
    """The list queries of one kind that were asked last: clients repeat themselves, and walk the same pages.

    What a query says follows from its text, the namespace and the configuration, but not from what is loaded.
    """

    def __init__(self, plugin: Plugin, configuration: Configuration) -> None:
        self._plugin = plugin
        self._configuration = configuration
        self._kept: dict[tuple[bytes, str, str], tuple[ListQuery, bool]] = {}

    def of(self, request: Request) -> tuple[ListQuery, bool]:
        """The query of a request, and whether assets are asked for."""
        key = (request.raw_query, request.scope.namespace, self._configuration.version_of(request.scope))
        kept = self._kept.get(key)
        if kept is None:
            query = parse_list_query(request, self._plugin, self._configuration)
            kept = query, parse_choice(request, "view", ("native", "asset"), "native") == "asset"
            if len(request.raw_query) <= _KEPT_BYTES:
                if len(self._kept) >= _KEPT_QUERIES:
                    self._kept.clear()
                self._kept[key] = kept
        return kept


def parse_list_query(request: Request, plugin: Plugin, configuration: Configuration) -> ListQuery:
    """The parameters of a native entity list."""
    rules = plugin.kind.rules
    token_parameter, token = parse_token(request)
    return ListQuery(
        page_size=parse_page_size(request, rules),
        filter=request.first("filterQuery"),
        q=parse_text(request, "q"),
        order_by=parse_text(request, "orderBy"),
        descending=request.first("sortOrder").strip().upper() == "DESC",
        sources=parse_sources(request, plugin, configuration),
        named_query=_parse_named_query(request, plugin, configuration),
        token=token,
        token_parameter=token_parameter,
    )


def parse_page_size(request: Request, rules: ListRules) -> int:
    """Clamped to the kind's maximum. What is no positive number is the default where the kind is lenient, else 400."""
    text = (request.first if rules.lenient_page_size else request.only)("pageSize").strip()
    if not text:
        return rules.page_size
    if _INTEGER.fullmatch(text) is None:
        if rules.lenient_page_size:
            return rules.page_size
        raise Invalid(f"{text[:40]!r} is not a whole number", field="pageSize")
    # Longer numbers are not converted: Python refuses thousands of digits, and all of them are over the maximum.
    number = int(text) if len(text) < 10 else (-1 if text.startswith("-") else rules.max_page_size)
    if number >= 1:
        return min(number, rules.max_page_size)
    if rules.lenient_page_size:
        return rules.page_size
    raise Invalid(f"must be at least 1, got {text[:40]}", field="pageSize")


def parse_token(request: Request) -> tuple[str, str]:
    """Both names of the token are understood everywhere (spec plugins.md 0.4)."""
    for name in _TOKENS:
        token = request.first(name)
        if token:
            return name, token
    return _TOKENS[0], ""


def parse_lenient_size(request: Request, default: int, maximum: int) -> int:
    """A page size where what is no positive number means the default (spec http-api.md 0.4)."""
    return parse_page_size(request, ListRules(page_size=default, max_page_size=maximum, lenient_page_size=True))


def parse_flag(request: Request, name: str) -> bool:
    """`true` or `false`; false when it is not given."""
    return parse_choice(request, name, ("true", "false"), "false") == "true"


def parse_text(request: Request, name: str) -> str:
    """A text of bounded length."""
    text = request.first(name)
    if len(text) > MAX_TEXT:
        raise TooLarge(f"longer than {MAX_TEXT} characters", field=name)
    return text


def parse_time(request: Request, name: str) -> int | None:
    """A moment in RFC 3339 as milliseconds since the epoch; None when it is not given."""
    text = request.only(name).strip()
    if not text:
        return None
    moment = parse_ms(text)
    if moment is None:
        raise Invalid(f"{text[:40]!r} is no time like 2031-04-01T10:00:00Z (write + as %2B)", field=name)
    return moment


def parse_names(request: Request, name: str) -> list[str] | None:
    """A comma list; all occurrences of the parameter count. None when it is not given."""
    values = request.query.get(name)
    if values is None:
        return None
    names = [part.strip() for value in values for part in value.split(",") if part.strip()]
    return names or None


def parse_sources(request: Request, plugin: Plugin, configuration: Configuration) -> frozenset[str] | None:
    """`source` or `sourceLabel` as source ids; None for all."""
    sources, labels = parse_names(request, "source"), parse_names(request, "sourceLabel")
    if sources is not None and labels is not None:
        raise Invalid("source and sourceLabel cannot be used together", field="sourceLabel")
    if labels is not None:
        return configuration.labelled(request.scope, plugin, labels)
    return None if sources is None else frozenset(sources)


def parse_sort_order(request: Request) -> bool:
    """Whether descending, where the contract refuses anything but ASC and DESC."""
    text = request.only("sortOrder").strip().upper()
    if text not in ("", "ASC", "DESC"):
        raise Invalid(f"{text[:40]!r} is neither ASC nor DESC", field="sortOrder")
    return text == "DESC"


def parse_choice(request: Request, name: str, choices: tuple[str, ...], default: str) -> str:
    """One of a few words, in any case."""
    text = request.only(name).strip()
    if not text:
        return default
    for choice in choices:
        if text.upper() == choice.upper():
            return choice
    raise Invalid(f"{text[:40]!r} is none of {', '.join(choices)}", field=name)


def _parse_named_query(request: Request, plugin: Plugin, configuration: Configuration) -> NamedQuery | None:
    name = parse_text(request, "namedQuery")
    if not name:
        return None
    queries = configuration.named_queries(request.scope, plugin)
    if name not in queries:
        known = ", ".join(queries) or "none"
        raise Invalid(f"unknown named query {name[:80]!r}; known: {known}", field="namedQuery")
    return NamedQuery(name, queries[name])
