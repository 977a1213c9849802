"""B: lists and single entities: shapes, filters, orders, pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog_server.cli.conformance.checks import Broken, Skipped, catalog_check, require
from catalog_server.cli.conformance.subject import Catalog, Entity, object_of

_ODD_NAMES: Final = ("a/b", "ü", "two words", 'quo"te', "quo'te", "100%", "..", "日本", "a?b#c", "x" * 500)
_PAGE: Final = 3


@catalog_check("B", "list")
def lists(catalog: Catalog) -> None:
    """A list is JSON with an array `items`, and numbers `size` and `totalSize` that agree with it."""
    for entity in catalog.entities:
        page = entity.page()
        items, size = page.get("items"), page.get("size")
        require(isinstance(items, list), f"{entity.list_path}: `items` is no array")
        assert isinstance(items, list)
        require(isinstance(size, int) and not isinstance(size, bool), f"{entity.list_path}: `size` is {size!r}")
        require(size == len(items), f"{entity.list_path}: `size` is {size}, there are {len(items)} items")
        total = page.get("totalSize")
        require(total is None or total >= len(items), f"{entity.list_path}: `totalSize` {total} of {len(items)} items")


@catalog_check("B", "get")
def gets(catalog: Catalog) -> None:
    """An entity of the list can be got, and has the same name."""
    for entity in catalog.entities:
        item = entity.some()
        path = entity.get_path(item)
        found = entity.site.document(path)
        require(found.get("name") == item.get("name"), f"{path}: name {found.get('name')!r}, listed {item['name']!r}")


@catalog_check("B", "get-unknown")
def get_unknown(catalog: Catalog) -> None:
    """An unknown name is 404."""
    for entity in catalog.entities:
        path = entity.get_path(entity.some(), name="no-such-name-4f1d")
        status = entity.site.ask(path).status
        require(status == 404, f"{path}: {status}, not 404")


@catalog_check("B", "odd-names")
def odd_names(catalog: Catalog) -> None:
    """Names with slashes, blanks, quotes and other scripts are looked for, not stumbled over."""
    for entity in catalog.entities:
        item = entity.some()
        for name in _ODD_NAMES:
            path = entity.get_path(item, name=name)
            answer = entity.site.ask(path)
            require(answer.status in (200, 400, 404), f"{path}: {answer.status}")
            object_of(answer, path)


@catalog_check("B", "page-size")
def page_size(catalog: Catalog) -> None:
    """`pageSize=1` gives at most one."""
    for entity in catalog.entities:
        require(len(entity.items(("pageSize", "1"))) <= 1, f"{entity.list_path}: more than one with pageSize=1")


@catalog_check("B", "pages")
def pages(catalog: Catalog) -> None:
    """A walk through all pages finds each entity once, and as many as there are."""
    for entity in catalog.entities:
        total = entity.page(("pageSize", "1")).get("totalSize")
        found = [_identity(item) for page in entity.walk(_PAGE) for item in page]
        twice = sorted({str(one) for one in found if found.count(one) > 1}) if len(found) < 2000 else []
        require(not twice, f"{entity.list_path}: seen more than once: {twice[:5]}")
        require(total is None or len(found) == total, f"{entity.list_path}: {len(found)} found, totalSize {total}")


def _identity(item: Mapping[str, Any]) -> tuple[object, object]:
    return item.get("source_id") or item.get("sourceId"), item.get("name")


@catalog_check("B", "page-token-wrong")
def page_token_wrong(catalog: Catalog) -> None:
    """A token that is none is 400, not the first page."""
    for entity in catalog.entities:
        status = entity.site.ask(entity.list_path, [("pageToken", "no-token")]).status
        require(status == 400, f"{entity.list_path}: {status} for a wrong token")


@catalog_check("B", "filters")
def filters(catalog: Catalog) -> None:
    """Each filter field is accepted, and an entity passes the filter for its own name."""
    for entity in catalog.entities:
        fields = entity.fields("filterFields")
        for one in fields:
            query = f"{one['name']}{_condition(one)}"
            _accepted(entity, ("filterQuery", query))
        item = entity.some()
        quoted = str(item["name"]).replace("'", "''")
        found = {other["name"] for other in entity.items(("filterQuery", f"name='{quoted}'"))}
        require(found == {item["name"]}, f"{entity.list_path}: filter for {item['name']!r} finds {sorted(found)}")


def _condition(described: Mapping[str, Any]) -> str:
    kind = described.get("type")
    if kind == "boolean":
        return "=true"
    if kind in ("number", "integer"):
        return ">0"
    options = described.get("options") or ["test"]
    return f"='{options[0]}'"


@catalog_check("B", "filter-wrong")
def filter_wrong(catalog: Catalog) -> None:
    """A filter that is none, or of a field that does not exist, is 400 with a reason."""
    for entity in catalog.entities:
        for text in ("name =", "no_such_field_4f1d = 'x'", "((name = 'x')"):
            answer = entity.site.ask(entity.list_path, [("filterQuery", text)])
            require(answer.status == 400, f"{entity.list_path}: {answer.status} for the filter {text!r}")
            require(object_of(answer, entity.list_path).get("message"), f"no message for the filter {text!r}")


@catalog_check("B", "orders")
def orders(catalog: Catalog) -> None:
    """Each sortable column is accepted, and one way is the other way round."""
    for entity in catalog.entities:
        for column in entity.fields("columns"):
            if not column.get("sortable"):
                continue
            for direction in ("ASC", "DESC"):
                _accepted(entity, ("orderBy", column["name"]), ("sortOrder", direction))
        rising = _names(entity, "ASC")
        require(rising == _names(entity, "DESC")[::-1], f"{entity.list_path}: orders by NAME do not mirror each other")


def _names(entity: Entity, direction: str) -> list[str]:
    order = [("orderBy", "NAME"), ("sortOrder", direction)]
    return [item["name"] for page in entity.walk(100, *order) for item in page]


@catalog_check("B", "search")
def search(catalog: Catalog) -> None:
    """`q` with the name of an entity finds it."""
    for entity in catalog.entities:
        name = str(entity.some()["name"])
        found = {item["name"] for item in entity.items(("q", name), ("pageSize", "100"))}
        require(name in found, f"{entity.list_path}: q={name!r} does not find it")


def _accepted(entity: Entity, *query: tuple[str, str]) -> None:
    answer = entity.site.ask(entity.list_path, query)
    if answer.status == 400 or answer.status >= 500:
        raise Broken(f"{entity.list_path} {dict(query)}: {answer.status} {answer.body[:200]!r}")


@catalog_check("B", "filter-options")
def filter_options(catalog: Catalog) -> None:
    """`filter_options` offers values that occur."""
    for entity in catalog.entities:
        path = f"{entity.list_path}/filter_options"
        answer = entity.site.ask(path)
        if answer.status == 404:
            raise Skipped(f"{path} does not exist")
        found = object_of(answer, path).get("filters")
        require(isinstance(found, dict), f"{path}: `filters` is no object")
