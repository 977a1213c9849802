"""D, E, F: who may do what, health, and the API document."""

from __future__ import annotations

from typing import Any, Final

from catalog_server.cli.conformance.checks import Broken, Skipped, catalog_check, require, site_check
from catalog_server.cli.conformance.subject import Catalog, Site, object_of

_PROBES: Final = ("/healthz", "/livez", "/readyz")
_TENANCY: Final = "/api/tenancy/v1alpha1/namespaces"


@site_check("D", "health-open")
def health_open(site: Site) -> None:
    """Probes answer anybody, without a namespace."""
    nobody = Site(site.url, timeout_seconds=site.timeout_seconds, ca_file=site.ca_file)
    for path in _PROBES:
        require(nobody.ask(path).status == 200, f"{path} is not 200 for anybody")


@catalog_check("D", "roles")
def roles(catalog: Catalog) -> None:
    """Somebody without rights may not change anything."""
    if not catalog.is_manageable:
        raise Skipped("sources are not manageable")
    path = f"{catalog.management}/validate-source"
    answer = catalog.site.ask(path, method="POST", body={"id": "conformance"}, identified=False)
    require(answer.status in (401, 403), f"POST {path} by nobody: {answer.status}, not 401 or 403")
    object_of(answer, path)


@site_check("D", "namespaces")
def namespaces(site: Site) -> None:
    """Where tenants share the server, a request has to name one, a valid one, and one that is served."""
    if site.document(_TENANCY).get("mode") != "namespace":
        raise Skipped("the server has one tenant")
    path = Catalog(site, site.plugins[0]).entities[0].list_path
    nowhere = Site(site.url, site.identity, "", site.timeout_seconds, site.ca_file)
    require(nowhere.ask(path).status == 400, f"{path} without a namespace is not 400")
    for wrong in ("UPPER", "a_b", "-a", "a" * 64):
        status = nowhere.ask(path, [("namespace", wrong)]).status
        require(status == 400, f"{path}?namespace={wrong[:10]}: {status}, not 400")
    status = nowhere.ask(path, [("namespace", "no-such-team-4f1d")]).status
    require(status in (200, 403), f"{path} of an unknown namespace: {status}")
    if status == 200:
        found = nowhere.document(path, [("namespace", "no-such-team-4f1d")])
        require(not found["items"], "a namespace that nobody has used shows entities")


@site_check("E", "probes")
def probes(site: Site) -> None:
    """The probes are 200 and have a `status`."""
    for path in _PROBES:
        require(site.document(path).get("status"), f"{path} has no status")
    require(site.document("/healthz")["status"] == "alive", "/healthz does not say alive")


@site_check("E", "readiness")
def readiness(site: Site) -> None:
    """Readiness tells of database, initial load and plugins."""
    components = site.document("/readyz").get("components") or {}
    for name in ("database", "initial_load", "plugins"):
        found = components.get(name)
        require(isinstance(found, dict) and found.get("status"), f"/readyz: component {name} is {found!r}")


@site_check("E", "request-id")
def request_id(site: Site) -> None:
    """The id that a client gives its request comes back."""
    answer = site.ask("/api/plugins", headers={"X-Request-Id": "conformance-1"})
    require(answer.headers.get("x-request-id") == "conformance-1", "X-Request-Id is not sent back")


@site_check("E", "plugins")
def plugins(site: Site) -> None:
    """Plugins are counted, healthy, and no two have the same name or base path; an unknown one is 404."""
    found = site.document("/api/plugins")
    require(found.get("count") == len(site.plugins), f"count is {found.get('count')} of {len(site.plugins)} plugins")
    for key in ("name", "basePath"):
        values = [plugin.get(key) for plugin in site.plugins]
        require(len(set(values)) == len(values), f"two plugins have the same {key}")
    sick = [plugin.get("name") for plugin in site.plugins if plugin.get("healthy") is not True]
    require(not sick, f"not healthy: {sick}")
    require(site.ask("/api/plugins/no-such-plugin/capabilities").status == 404, "an unknown plugin is not 404")


@catalog_check("F", "base-path")
def base_path(catalog: Catalog) -> None:
    """The base path starts with /api/."""
    require(catalog.base.startswith("/api/"), f"base path is {catalog.base!r}")


@site_check("F", "document")
def document(site: Site) -> None:
    """`/openapi.json` is an OpenAPI 3.1 document."""
    require(str(site.openapi.get("openapi", "")).startswith("3.1"), f"openapi is {site.openapi.get('openapi')!r}")


@catalog_check("F", "paths")
def paths(catalog: Catalog) -> None:
    """The document knows the lists and the single entities of the capabilities."""
    known = set(catalog.site.openapi.get("paths") or ())
    shapes = {_shape(path) for path in known}
    for entity in catalog.entities:
        for name in ("list", "get"):
            path = str((entity.described.get("endpoints") or {}).get(name))
            require(_shape(path) in shapes, f"{path} is not in /openapi.json")


def _shape(path: str) -> tuple[str, ...]:
    """The path whatever its placeholders are called."""
    return tuple("{}" if part.startswith("{") else part for part in path.split("/"))


@catalog_check("F", "answers")
def answers(catalog: Catalog) -> None:
    """Live lists and entities are as the document says."""
    try:
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    except ImportError as error:
        raise Skipped("jsonschema is not installed: install catalog-server[conformance]") from error
    document = catalog.site.openapi
    for entity in catalog.entities:
        for path, template in (
            (entity.list_path, entity.list_path),
            (entity.get_path(entity.some()), str(entity.described["endpoints"]["get"])),
        ):
            validator = Draft202012Validator(
                {
                    **_schema_of(document, template),
                    "components": document.get("components", {}),  # where its references lead
                }
            )
            fault = next(iter(validator.iter_errors(catalog.site.document(path))), None)
            require(fault is None, f"{path}: {fault.json_path if fault else ''} {fault.message[:200] if fault else ''}")


def _schema_of(document: dict[str, Any], template: str) -> dict[str, Any]:
    """The schema of a good answer to a GET."""
    for path, operations in (document.get("paths") or {}).items():
        if _shape(path) == _shape(template):
            found: dict[str, Any] = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            return found
    raise Broken(f"{template} is not in /openapi.json")
