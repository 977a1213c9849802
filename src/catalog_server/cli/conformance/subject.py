"""The server under test, as the checks see it: asked over HTTP and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from catalog_server.cli.client.failures import Failure
from catalog_server.cli.client.transport import Answer, Query, Target, Transport
from catalog_server.cli.conformance.checks import Broken, Skipped, require

MANY_PAGES = 10_000


@dataclass(frozen=True)
class Expectations:
    """What the one who runs the checks knows of the server."""

    kinds: Sequence[str] = ()
    writes: bool = False
    """Whether a scratch source may be made and removed."""


@dataclass(frozen=True)
class Site:
    """One server. `identity` are the headers of a caller who may do all; without them a caller is nobody."""

    url: str
    identity: Mapping[str, str] = field(default_factory=dict, repr=False)
    namespace: str = ""
    timeout_seconds: float = 30.0
    ca_file: str = ""
    expectations: Expectations = Expectations()

    def ask(
        self,
        path: str,
        query: Query = (),
        *,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        identified: bool = True,
    ) -> Answer:
        """One request. Raises Broken when there is no answer."""
        own = {"X-Namespace": self.namespace} if self.namespace else {}
        given = {**own, **(self.identity if identified else {}), **(headers or {})}
        target = Target(self.url, given, self.timeout_seconds, self.ca_file)
        try:
            return Transport(target).send(method, path, query, body)
        except Failure as failure:
            raise Broken(f"{method} {path}: {failure}") from failure

    def document(self, path: str, query: Query = (), **options: Any) -> dict[str, Any]:
        """The body of a good answer, which is an object. Raises Broken."""
        answer = self.ask(path, query, **options)
        require(answer.status == 200, f"GET {path} {dict(query)}: {answer.status} {_start(answer)}")
        return object_of(answer, path)

    @cached_property
    def plugins(self) -> list[dict[str, Any]]:
        found = self.document("/api/plugins").get("plugins")
        require(isinstance(found, list) and found, "/api/plugins lists no plugin")
        assert isinstance(found, list)
        return found

    @cached_property
    def openapi(self) -> dict[str, Any]:
        return self.document("/openapi.json")


def object_of(answer: Answer, path: str) -> dict[str, Any]:
    """The body as an object. Raises Broken."""
    kind = answer.headers.get("content-type", "")
    require(kind.startswith("application/json"), f"{path}: content type is {kind!r}, not application/json")
    try:
        found = json.loads(answer.body)
    except ValueError as error:
        raise Broken(f"{path}: the body is no JSON: {error}") from error
    require(isinstance(found, dict), f"{path}: the body is no object")
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Entity:
    """One kind of a plugin, as its capabilities describe it."""

    site: Site
    described: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.described.get("kind"))

    @property
    def list_path(self) -> str:
        found = (self.described.get("endpoints") or {}).get("list")
        if not found:
            raise Skipped(f"{self.kind} has no list")
        return str(found)

    def fields(self, group: str) -> list[dict[str, Any]]:
        """`columns`, `filterFields` or `detailFields`."""
        return list((self.described.get("fields") or {}).get(group) or ())

    def page(self, *query: tuple[str, str]) -> dict[str, Any]:
        return self.site.document(self.list_path, query)

    def items(self, *query: tuple[str, str]) -> list[dict[str, Any]]:
        found = self.page(*query).get("items")
        require(isinstance(found, list), f"{self.list_path}: `items` is no array")
        assert isinstance(found, list)
        return found

    def some(self) -> dict[str, Any]:
        """Any entity. Raises Skipped where there is none."""
        found = self.items(("pageSize", "1"))
        if not found:
            raise Skipped(f"there is no {self.kind}")
        return found[0]

    def walk(self, size: int, *query: tuple[str, str]) -> Iterator[list[dict[str, Any]]]:
        """All pages. Raises Broken when they do not end."""
        token, seen = "", set[str]()
        while True:
            page = self.page(*query, ("pageSize", str(size)), *([("pageToken", token)] if token else []))
            yield list(page.get("items") or ())
            token = str(page.get("nextPageToken") or "")
            if not token:
                return
            require(token not in seen and len(seen) < MANY_PAGES, f"{self.list_path}: page tokens do not end")
            seen.add(token)

    def get_path(self, item: Mapping[str, Any], *, name: str | None = None) -> str:
        """Of one entity; `name` in the place of its own. Placeholders are filled from the entity."""
        template = str((self.described.get("endpoints") or {}).get("get") or "")
        if not template:
            raise Skipped(f"{self.kind} cannot be got")
        named = quote(str(item.get("name")) if name is None else name, safe="")
        source = quote(str(item.get("source_id") or item.get("sourceId") or ""), safe="")
        return template.replace("{name}", named).replace("{source_id}", source).replace("{sourceId}", source)


@dataclass(frozen=True)
class Catalog:
    """One plugin of the server."""

    site: Site
    plugin: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.plugin.get("name"))

    @property
    def base(self) -> str:
        return str(self.plugin.get("basePath"))

    @property
    def management(self) -> str:
        return f"{self.base}/management"

    @cached_property
    def capabilities(self) -> dict[str, Any]:
        return self.site.document(f"/api/plugins/{quote(self.name, safe='')}/capabilities")

    @cached_property
    def entities(self) -> list[Entity]:
        found = self.capabilities.get("entities")
        require(isinstance(found, list) and found, f"{self.name}: capabilities describe no entity")
        assert isinstance(found, list)
        return [Entity(self.site, one) for one in found]

    @property
    def actions(self) -> list[dict[str, Any]]:
        return list(self.capabilities.get("actions") or ())

    @property
    def is_manageable(self) -> bool:
        return bool((self.capabilities.get("sources") or {}).get("manageable"))


def _start(answer: Answer) -> str:
    return answer.body[:200].decode(errors="replace")
