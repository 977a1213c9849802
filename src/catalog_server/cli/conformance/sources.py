"""C: sources and actions."""

from __future__ import annotations

from urllib.parse import quote

from catalog_server.cli.conformance.checks import Skipped, catalog_check, require
from catalog_server.cli.conformance.subject import Catalog, object_of

_PARAMETERS = {
    "tag": {"tags": ["conformance"]},
    "annotate": {"annotations": {"conformance": "yes"}},
    "deprecate": {"phase": "active"},
}
_STATUSES = ("completed", "dry-run", "error")


@catalog_check("C", "flags")
def flags(catalog: Catalog) -> None:
    """`sources` of the capabilities says whether they can be managed and refreshed."""
    found = catalog.capabilities.get("sources")
    require(isinstance(found, dict), f"{catalog.name}: capabilities have no `sources`")
    assert isinstance(found, dict)
    for name in ("manageable", "refreshable"):
        require(isinstance(found.get(name), bool), f"{catalog.name}: sources.{name} is {found.get(name)!r}")


@catalog_check("C", "sources")
def sources(catalog: Catalog) -> None:
    """The sources are listed with id and state."""
    path = f"{catalog.base}/sources"
    items = catalog.site.document(path).get("items")
    require(isinstance(items, list), f"{path}: `items` is no array")
    for one in items or ():
        require(one.get("id") and one.get("status"), f"{path}: a source without id or status: {one}")


@catalog_check("C", "diagnostics")
def diagnostics(catalog: Catalog) -> None:
    """Diagnostics tell of each source."""
    if not catalog.is_manageable:
        raise Skipped("sources are not manageable")
    path = f"{catalog.management}/diagnostics"
    listed = {one["id"] for one in catalog.site.document(f"{catalog.base}/sources")["items"]}
    found = {one.get("id") for one in catalog.site.document(path).get("sources") or ()}
    require(listed <= found, f"{path}: nothing about {sorted(listed - found)}")


@catalog_check("C", "dry-runs")
def dry_runs(catalog: Catalog) -> None:
    """Each action of an entity that can be tried without effect can be tried, and has none."""
    described = {str(action["id"]): action for action in catalog.actions if action.get("supportsDryRun")}
    for entity in catalog.entities:
        item = entity.some()
        template = (entity.described.get("endpoints") or {}).get("action")
        named = quote(str(item["name"]), safe="")
        path = str(template).replace("{name}", named) if template else f"{catalog.management}/entities/{named}:action"
        for action in entity.described.get("actions") or ():
            if action not in described:
                continue
            before = entity.site.document(entity.get_path(item))
            body = {
                "action": action,
                "dryRun": True,
                "params": _PARAMETERS.get(action, {}),
                "sourceId": item.get("source_id") or item.get("sourceId"),
            }
            answer = catalog.site.ask(path, method="POST", body={key: one for key, one in body.items() if one})
            require(answer.status in (200, 400, 422), f"POST {path} {action}: {answer.status} {answer.body[:200]!r}")
            if answer.status == 200:
                status = object_of(answer, path).get("status")
                require(status in _STATUSES, f"POST {path} {action}: status {status!r}, not one of {_STATUSES}")
            require(entity.site.document(entity.get_path(item)) == before, f"a dry run of {action} changed {path}")
