"""G: what clients rely on everywhere: the form of errors, conditional reads, methods."""

from __future__ import annotations

from catalog_server.cli.conformance.checks import Skipped, catalog_check, require, site_check
from catalog_server.cli.conformance.subject import Catalog, Site, object_of


@site_check("G", "error-envelope")
def error_envelope(site: Site) -> None:
    """What does not exist is 404 with `error` and `message`, also outside of the API."""
    for path in ("/api/no-such-thing", "/no-such-thing", "/api/plugins/none/capabilities"):
        answer = site.ask(path)
        require(answer.status == 404, f"{path}: {answer.status}, not 404")
        found = object_of(answer, path)
        require(found.get("error") and found.get("message"), f"{path}: no `error` and `message` in {found}")


@catalog_check("G", "error-names-field")
def error_names_field(catalog: Catalog) -> None:
    """A filter or token that is wrong is 400, and the error names the parameter."""
    for entity in catalog.entities:
        for name, value in (("filterQuery", "no_such_field_4f1d = 1"), ("pageToken", "no-token")):
            answer = entity.site.ask(entity.list_path, [(name, value)])
            require(answer.status == 400, f"{entity.list_path}?{name}={value}: {answer.status}, not 400")
            found = object_of(answer, entity.list_path)
            require(found.get("field") == name, f"{entity.list_path}?{name}={value}: `field` is {found.get('field')!r}")


@catalog_check("G", "method-not-allowed")
def method_not_allowed(catalog: Catalog) -> None:
    """A method that a path does not have is 405 with `Allow`."""
    path = catalog.entities[0].list_path
    answer = catalog.site.ask(path, method="DELETE")
    if answer.status == 403:
        raise Skipped("what is not a route is refused before it is looked for")
    require(answer.status == 405, f"DELETE {path}: {answer.status}, not 405")
    require("GET" in answer.headers.get("allow", ""), f"DELETE {path}: Allow is {answer.headers.get('allow')!r}")


@catalog_check("G", "head")
def head(catalog: Catalog) -> None:
    """HEAD is GET without the body."""
    path = catalog.entities[0].list_path
    answer = catalog.site.ask(path, method="HEAD")
    require((answer.status, answer.body) == (200, b""), f"HEAD {path}: {answer.status}, {len(answer.body)} bytes")


@catalog_check("G", "etag")
def etag(catalog: Catalog) -> None:
    """Lists and entities have an ETag, and an equal one is answered with 304 and no body."""
    for entity in catalog.entities:
        for path in (entity.list_path, entity.get_path(entity.some())):
            tag = entity.site.ask(path).headers.get("etag")
            require(tag, f"{path} has no ETag")
            answer = entity.site.ask(path, headers={"If-None-Match": str(tag)})
            require((answer.status, answer.body) == (304, b""), f"{path}: {answer.status} for its own ETag, not 304")
            other = entity.site.ask(path, headers={"If-None-Match": '"other"'})
            require(other.status == 200, f"{path}: {other.status} for another ETag, not 200")


@catalog_check("G", "discovery-cache")
def discovery_cache(catalog: Catalog) -> None:
    """Where capabilities are cached, `X-Cache` says so: the second of two requests is a hit."""
    path = f"/api/plugins/{catalog.name}/capabilities"
    seen = [catalog.site.ask(path).headers.get("x-cache") for _ in range(2)]
    if seen == [None, None]:
        raise Skipped("nothing is cached")
    require(seen[1] == "HIT", f"{path}: X-Cache is {seen}")
