"""I: records of assets, steps of their lifecycle as dry runs, approvals. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from catalog_server.cli.conformance.checks import Skipped, catalog_check, require, site_check
from catalog_server.cli.conformance.subject import Catalog, Entity, Site, object_of

_BASE: Final = "/api/governance/v1alpha1"


@catalog_check("I", "record")
def record(catalog: Catalog) -> None:
    """An entity has a governance record, with a risk and a state that the capabilities name."""
    for entity, governance in _governed(catalog):
        name = str(entity.some().get("name"))
        found = _record(catalog, entity, name)
        require(
            found.get("assetRef") == {"plugin": catalog.name, "kind": entity.kind, "name": name},
            f"{name}: assetRef is {found.get('assetRef')}",
        )
        sections = found.get("governance") or {}
        require((sections.get("risk") or {}).get("level"), f"{name}: the record has no risk")
        state = (sections.get("lifecycle") or {}).get("state")
        require(state in governance["lifecycle"]["states"], f"{name}: {state!r} is none of the states")


@catalog_check("I", "dry-runs")
def dry_runs(catalog: Catalog) -> None:
    """A step of a lifecycle says as a dry run what it would do, or why it cannot, and does nothing."""
    for entity, governance in _governed(catalog):
        name = str(entity.some().get("name"))
        before = _record(catalog, entity, name)
        path = f"{_path(catalog, entity, name)}/actions/lifecycle.setState"
        for state in governance["lifecycle"]["states"]:
            answer = catalog.site.ask(path, method="POST", body={"dryRun": True, "params": {"state": state}})
            found = object_of(answer, path)
            if answer.status == 200:
                told = found.get("status") == "dry-run" and (found.get("data") or {}).get("to") == state
            else:
                told = answer.status == 400 and {"code", "from", "to"} <= set(found)
            require(told, f"{path} to {state}: {answer.status} {found}")
        require(_record(catalog, entity, name) == before, f"{name}: a dry run has changed the record")


@site_check("I", "approvals")
def approvals(site: Site) -> None:
    """Approval requests and policies are listed; a request that is not there is 404."""
    if not any(_is_governed(entity) for one in site.plugins for entity in Catalog(site, one).entities):
        raise Skipped("nothing is governed")
    listed = site.document(f"{_BASE}/approvals", [("pageSize", "1")])
    require(isinstance(listed.get("requests"), list), f"{_BASE}/approvals: `requests` is no array")
    require(isinstance(listed.get("totalSize"), int), f"{_BASE}/approvals: no `totalSize`")
    require(isinstance(site.document(f"{_BASE}/policies").get("policies"), list), "`policies` is no array")
    missing = site.ask(f"{_BASE}/approvals/no-such-request")
    require(missing.status == 404, f"an unknown request: {missing.status}, not 404")


def _governed(catalog: Catalog) -> Iterator[tuple[Entity, dict[str, Any]]]:
    """The kinds that are governed, and how. Raises Skipped where there is none."""
    found = [one for one in catalog.entities if _is_governed(one)]
    if not found:
        raise Skipped("nothing is governed")
    for entity in found:
        yield entity, entity.described["governance"]


def _is_governed(entity: Entity) -> bool:
    return bool((entity.described.get("governance") or {}).get("supported"))


def _record(catalog: Catalog, entity: Entity, name: str) -> dict[str, Any]:
    return catalog.site.document(_path(catalog, entity, name))


def _path(catalog: Catalog, entity: Entity, name: str) -> str:
    # What is encoded twice stays one segment, whatever stands between here and the server.
    encoded = quote(quote(name, safe=""), safe="") if "/" in name or "%" in name else quote(name, safe="")
    return f"{_BASE}/assets/{catalog.name}/{entity.kind}/{encoded}"
