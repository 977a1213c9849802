"""H: the life of a source, from validation to removal. On one of its own that is switched off: it shows nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catalog_server.cli.client.transport import Answer
from catalog_server.cli.conformance.checks import Skipped, catalog_check, require
from catalog_server.cli.conformance.subject import Catalog, object_of


class Scratch:
    """A source that is not there before, and not afterwards."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.id = f"conformance-{secrets.token_hex(4)}"
        self.source: dict[str, Any] = {
            "id": self.id,
            "name": "Conformance",
            "type": "yaml",
            "enabled": False,
            "properties": {},
        }

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        return self._catalog.site.ask(f"{self._catalog.management}/{path}", method=method, body=body)

    def good(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self.call(method, path, body)
        require(answer.status < 300, f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return object_of(answer, path)

    def apply(self, **changes: Any) -> dict[str, Any]:
        return self.good("POST", "apply-source", {**self.source, **changes})

    def listed(self) -> dict[str, Any] | None:
        found = self.good("GET", "sources").get("sources") or ()
        return next((one for one in found if one.get("id") == self.id), None)


@contextmanager
def _scratch(catalog: Catalog) -> Iterator[Scratch]:
    if not catalog.site.expectations.writes:
        raise Skipped("changes were not asked for (--writes)")
    if not catalog.is_manageable:
        raise Skipped("sources are not manageable")
    scratch = Scratch(catalog)
    types = (catalog.capabilities.get("sources") or {}).get("types") or []
    if "yaml" not in types:
        raise Skipped("there are no YAML sources to try it with")
    diagnostics = scratch.good("GET", "diagnostics")
    if (diagnostics.get("persistence") or {}).get("writable") is False:
        raise Skipped("the configuration cannot be written")
    listed = catalog.site.document(f"{catalog.management}/sources").get("sources") or ()
    path = next((one["properties"]["yamlCatalogPath"] for one in listed if _has_path(one)), None)
    if path is None:
        raise Skipped("there is no YAML source whose path a scratch source could share")
    scratch.source["properties"] = {"yamlCatalogPath": path}
    try:
        yield scratch
    finally:
        if scratch.listed() is not None:
            scratch.call("DELETE", f"sources/{scratch.id}")


def _has_path(source: dict[str, Any]) -> bool:
    return bool((source.get("properties") or {}).get("yamlCatalogPath"))


@catalog_check("H", "validate")
def validate(catalog: Catalog) -> None:
    """A good source is found valid, a bad one not, and neither is kept."""
    with _scratch(catalog) as scratch:
        found = scratch.good("POST", "validate-source", scratch.source)
        require(found.get("valid") is True, f"a good source is not valid: {found}")
        answer = scratch.call("POST", "validate-source", {**scratch.source, "id": "NOT VALID", "type": "no-such"})
        bad = object_of(answer, "validate-source")
        require(bad.get("valid") is False and bad.get("errors"), f"a bad source is valid: {bad}")
        require(scratch.listed() is None, "a source that was validated only is there")


@catalog_check("H", "apply")
def apply(catalog: Catalog) -> None:
    """A source that is applied is listed; applied again it changes nothing; removed it is gone."""
    with _scratch(catalog) as scratch:
        scratch.apply()
        require(scratch.listed() is not None, "an applied source is not listed")
        before = scratch.good("GET", "diagnostics").get("configVersion")
        scratch.apply()
        require(scratch.good("GET", "diagnostics").get("configVersion") == before, "the same again is a change")
        scratch.good("DELETE", f"sources/{scratch.id}")
        require(scratch.listed() is None, "a removed source is still listed")
        require(scratch.call("DELETE", f"sources/{scratch.id}").status == 404, "a removed source can be removed again")


@catalog_check("H", "apply-invalid")
def apply_invalid(catalog: Catalog) -> None:
    """A source that is not valid is 422, or 400, and not kept."""
    with _scratch(catalog) as scratch:
        answer = scratch.call("POST", "apply-source", {**scratch.source, "type": "no-such-type"})
        require(answer.status in (400, 422), f"a bad source: {answer.status}, not 422")
        require(scratch.listed() is None, "a source that was refused is there")


@catalog_check("H", "rollback")
def rollback(catalog: Catalog) -> None:
    """Changes leave revisions, and one can be gone back to."""
    with _scratch(catalog) as scratch:
        scratch.apply(name="First")
        scratch.apply(name="Second")
        revisions = scratch.good("GET", "revisions").get("revisions") or []
        version = next((one.get("version") for one in revisions if not one.get("current")), None)
        require(version, f"no revision to go back to after two changes: {revisions[:3]}")
        scratch.good("POST", "rollback", {"version": version})
        found = scratch.listed()
        require(found is not None and found.get("name") == "First", f"gone back, the source is {found}")


@catalog_check("H", "enable")
def enable(catalog: Catalog) -> None:
    """A source can be switched on and off."""
    with _scratch(catalog) as scratch:
        scratch.apply()
        for wanted in (True, False):
            scratch.good("POST", f"sources/{scratch.id}/enable", {"enabled": wanted})
            found = scratch.listed() or {}
            require(found.get("enabled", True) is wanted, f"enabled is {found.get('enabled')}, not {wanted}")


@catalog_check("H", "audit")
def audit(catalog: Catalog) -> None:
    """A change is on record."""
    with _scratch(catalog) as scratch:
        answer = catalog.site.ask("/api/audit/v1alpha1/events", [("resourceId", scratch.id)])
        if answer.status == 404:
            raise Skipped("there is no audit")
        scratch.apply()
        events = catalog.site.document("/api/audit/v1alpha1/events", [("resourceId", scratch.id)]).get("events")
        require(events, "no event tells of an applied source")
