"""Every route of the API document, asked by each of two tenants: of the other one nothing is seen and nothing changes.

The routes come from /openapi.json of a server in namespace mode, and each needs a row in ROWS: a route without one
fails the test. All that is the other tenant's holds its word, in ids, names, files, labels, texts and secrets alike, so
that a leak of any kind is found by looking for that word; what both have has the same id and name, and other contents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from catalog_server.catalog.registry import discover
from tests.catalog_files import write_catalog
from tests.http.operator import JOBS, ROLE, Operator, operating

PLUGINS: Final = {plugin.name: plugin for plugin in discover()}
WORDS: Final = ("amber", "cobalt")
TENANTS: Final = [f"team-{word}" for word in WORDS]
ID_PARAMETERS: Final = ("source_id", "name", "job_id", "event_id", "request_id")
EVENTS: Final = "/api/audit/v1alpha1/events"
NOWHERE: Final = "nowhere-0"


@dataclass(frozen=True)
class Row:
    """How a route is asked.

    `values`: its placeholders beyond ids. `body`: what a change sends; `WORD` in it is the caller's own. `foreign`: the
    status where ids are the other tenant's; 200 only where the route takes any id, be there such a thing or not.
    `varies`: keys of an answer that tell of the configuration as a whole. `repeats`: it tells what the caller has asked
    before. `remembers`: what the caller has said under a name, be there such a thing or not.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    foreign: int = 404
    statuses: tuple[int, ...] = (200,)
    varies: tuple[str, ...] = ()
    repeats: bool = False
    remembers: bool = False


SOURCE: Final = {"id": "new", "name": "New", "type": "yaml", "properties": {"yamlCatalogPath": "WORD-spare.yaml"}}
TAG: Final = {"action": "tag", "params": {"tags": ["WORD-tag"]}}
REVISIONS: Final = Row(foreign=200, varies=("revisions", "count"))
QUEUED: Final = Row(statuses=(202,))
GOVERNANCE: Final = "/api/governance/v1alpha1"
GOVERNED: Final = f"{GOVERNANCE}/assets/{{plugin}}/{{kind}}/{{name}}"
ASSET: Final = {"plugin": "skills", "kind": "Skill"}
POLICIES: Final = "policies: [{id: four-eyes, selector: {transitions: [{to: approved}]}}]"
# `{base}` stands for the base path of a plugin, with or without `/management`; `{list}` for its list of entities.
ROWS: Final[Mapping[str, Row]] = {
    "GET /": Row(),
    "GET /openapi.json": Row(),
    **{f"GET /{probe}": Row(statuses=(200, 503), varies=("uptime",)) for probe in ("healthz", "livez", "readyz")},
    **{
        f"GET /{probe}/{{check}}": Row({"check": check}, statuses=(200, 503))
        for probe, check in (("healthz", "ping"), ("livez", "ping"), ("readyz", "plugins"))
    },
    "GET /api/plugins": Row(),
    "GET /api/plugins/{plugin_name}/capabilities": Row({"plugin_name": "skills"}),
    "GET /api/tenancy/v1alpha1/namespaces": Row(),
    "GET /api/audit/v1alpha1/events": Row(repeats=True),
    "GET /api/audit/v1alpha1/events:export": Row(repeats=True),
    "GET /api/audit/v1alpha1/events/{event_id}": Row(repeats=True),
    f"GET {GOVERNED}": Row(ASSET, foreign=200, remembers=True),
    f"PATCH {GOVERNED}": Row(ASSET, body={"team": {"name": "WORD-team"}}, foreign=200),
    f"GET {GOVERNED}/history": Row(ASSET, foreign=200, repeats=True, remembers=True),
    f"POST {GOVERNED}/actions/{{action}}": Row(
        {**ASSET, "action": "lifecycle.setState"}, {"params": {"state": "approved"}}, foreign=200, statuses=(202,)
    ),
    f"GET {GOVERNED}/versions": Row(ASSET, foreign=200, repeats=True, remembers=True),
    f"POST {GOVERNED}/versions": Row(ASSET, body={"versionLabel": "WORD-1"}, foreign=200, statuses=(201,)),
    f"GET {GOVERNED}/bindings": Row(ASSET, foreign=200, repeats=True, remembers=True),
    f"PUT {GOVERNED}/bindings/{{environment}}": Row(
        {**ASSET, "environment": "dev"}, {"versionId": "none:00000000"}, foreign=404, statuses=(404,)
    ),
    f"GET {GOVERNANCE}/approvals": Row(repeats=True),
    f"GET {GOVERNANCE}/approvals/{{request_id}}": Row(),
    f"POST {GOVERNANCE}/approvals/{{request_id}}/decisions": Row(body={"verdict": "deny"}, statuses=(200, 409)),
    f"POST {GOVERNANCE}/approvals/{{request_id}}/cancel": Row(body={}, statuses=(200, 409)),
    f"GET {GOVERNANCE}/policies": Row(),
    "GET /api/jobs/v1alpha1/refresh": Row(),
    "GET /api/jobs/v1alpha1/refresh/{job_id}": Row(),
    "POST /api/jobs/v1alpha1/refresh/{job_id}:cancel": Row(),
    "GET /api/assets": Row(),
    "GET /api/assets/{kind}/{name}": Row({"kind": "Skill"}),
    "GET {list}": Row(),
    "GET {list}/filter_options": Row(),
    "GET {list}/{name}": Row(),
    "GET {list}/{name}/dependencies": Row(),
    "POST {list}/{name}:action": Row(body=TAG),
    "GET {base}/sources/{source_id}/models/{name}": Row(),
    "GET {base}/sources/{source_id}/models/{name}/artifacts": Row(foreign=400),
    "GET {base}/sources": Row(),
    "GET {base}/labels": Row(),
    "POST {base}/sources": Row(body=SOURCE),
    "POST {base}/apply-source": Row(body=SOURCE),
    "POST {base}/validate-source": Row(body=SOURCE),
    "POST {base}/sources/{source_id}:validate": Row(body={**SOURCE, "id": None}, foreign=200),
    "POST {base}/sources/{source_id}/enable": Row(body={"enabled": False}),
    "DELETE {base}/sources/{source_id}": Row(),
    "GET {base}/sources/{source_id}/revisions": REVISIONS,
    "GET {base}/revisions": REVISIONS,
    "POST {base}/sources/{source_id}:rollback": Row(body={"version": "VERSION"}, foreign=200),
    "POST {base}/rollback": Row(body={"version": "VERSION"}),
    "POST {base}/refresh": QUEUED,
    "POST {base}/refresh/{source_id}": QUEUED,
    "POST {base}/sources/{source_id}/refresh": QUEUED,
    "POST {base}/sources/{source_id}:action": Row(body={"action": "refresh"}),
    "GET {base}/diagnostics": Row(varies=("configVersion", "lastReconcile")),
    "GET {base}/actions/source": Row(),
    "GET {base}/actions/asset": Row(),
    "POST {base}/entities/{name}:action": Row(body=TAG),
    "GET {base}/entities/{name}": Row(),
}


@dataclass(frozen=True)
class Tenant:
    """One tenant's way in. `ids` are of what both tenants have, `foreign_ids` of what the other one alone has."""

    operator: Operator
    word: str
    ids: Mapping[str, str]
    foreign_ids: Mapping[str, str]

    def ask(self, method: str, path: str, body: Any = None, *, role: Mapping[str, str] = ROLE) -> httpx.Response:
        text = json.dumps(body).replace("WORD", self.word) if body is not None else None
        headers = {**role, "X-Namespace": f"team-{self.word}", "X-Remote-User": f"{self.word}-user"}
        return self.operator.client.request(method, path, headers=headers, content=text)


@dataclass(frozen=True)
class Asked:
    """One route of the document with its row."""

    method: str
    template: str
    row: Row

    def path(self, ids: Mapping[str, str]) -> str:
        return self.template.format(**ids, **self.row.values)

    @property
    def has_ids(self) -> bool:
        return any(f"{{{name}}}" in self.template for name in ID_PARAMETERS)


def key_of(method: str, template: str) -> str:
    """The name of the route's row."""
    for plugin in PLUGINS.values():
        template = template.replace(f"{plugin.base_path}/management", "{base}").replace(plugin.list_path, "{list}")
        template = template.replace(plugin.base_path, "{base}")
    return f"{method} {template}"


def group_of(template: str) -> str:
    found = re.match(r"/api/([a-z]+)_catalog/", template)
    return found[1] if found else "server"


def write_tenant(folder: Path, word: str, sections: dict[str, Any]) -> None:
    """In each plugin a source and an entity that both tenants have, and one of each that is this one's alone."""
    for plugin in PLUGINS.values():
        for source_id, name in (("shared", "same"), (f"only-{word}", f"{word}-thing")):
            entity: dict[str, Any] = {"name": name, "description": f"{word} text", "customProperties": {"k": word}}
            if plugin.name == "model":
                entity["artifacts"] = [{"uri": f"oci://{word}/{name}"}]
            if plugin.name == "mcp":
                entity["deploymentMode"] = "local"
            file = f"{word}-{plugin.name}-{source_id}.yaml"
            write_catalog(folder / file, plugin.kind.plural, [entity])
            properties = {"yamlCatalogPath": file, "apiToken": f"{word}-secret"}
            source = {"id": source_id, "namespace": f"team-{word}", "name": f"{word} source", "type": "yaml"}
            section = sections.setdefault(plugin.section_key, {"sources": [], "labels": [], "namedQueries": {}})
            section["sources"].append({**source, "labels": [f"{word}-label"], "properties": properties})
        section["labels"].append({"name": f"{word}-label", "namespace": f"team-{word}"})
        section["namedQueries"][f"{word}-query"] = {
            "namespace": f"team-{word}",
            "name": {"operator": "=", "value": f"{word}-thing"},
        }
    (folder / f"{word}-spare.yaml").write_text("{}\n")


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    folder = tmp_path_factory.mktemp("isolation")
    sections: dict[str, Any] = {}
    for word in WORDS:
        write_tenant(folder, word, sections)
    text = yaml.safe_dump({"catalogs": sections}, sort_keys=False)
    policies = folder / "policies.yaml"
    policies.write_text(POLICIES)
    env = {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": ",".join(TENANTS)}
    with operating(folder, text, **env, CATALOG_APPROVAL_POLICIES=str(policies)) as found:
        yield found


@pytest.fixture
def tenants(operator: Operator) -> dict[str, Tenant]:
    """By word, each with a job that is live, the audit event of who asked for it, and a change that waits."""
    jobs, events, requests = {}, {}, {}
    for word in WORDS:
        one = replace(operator, headers={**ROLE, "X-Namespace": f"team-{word}"})
        jobs[word] = one.refresh(f"only-{word}")
        events[word] = one.ok("GET", EVENTS)["events"][0]["id"]
        action = f"{GOVERNED}/actions/lifecycle.setState".format(**ASSET, name=f"{word}-thing")
        asked = one.ok("POST", action, {"params": {"state": "approved"}}, status=202)
        requests[word] = asked["data"]["requestId"]
    ids = {one: {"job_id": jobs[one], "event_id": events[one], "request_id": requests[one]} for one in WORDS}
    return {
        word: Tenant(
            operator,
            word,
            {"source_id": "shared", "name": "same"} | ids[word],
            {"source_id": f"only-{other}", "name": f"{other}-thing"} | ids[other],
        )
        for word, other in (WORDS, WORDS[::-1])
    }


@pytest.fixture
def routes(operator: Operator) -> list[Asked]:
    document = operator.client.ok("/openapi.json")
    found = [(method.upper(), template) for template, operations in document["paths"].items() for method in operations]
    missing = [f"{method} {template}" for method, template in found if key_of(method, template) not in ROWS]
    assert not missing, f"routes without a row in ROWS of {__file__}: {missing}"
    return [Asked(method, template, ROWS[key_of(method, template)]) for method, template in found]


def check_silence(response: httpx.Response, word: str, *told: str) -> None:
    """Nothing of the tenant of this word is in it, but for what the caller has said itself."""
    text = f"{response.headers} {response.text}"
    for one in sorted(told, key=len, reverse=True):
        text = text.replace(one, "")
    if response.request.url.path.endswith(
        ("/namespaces", "/openapi.json")
    ):  # in mode sar the cluster says who sees which
        text = text.replace(f"team-{word}", "")
    assert word not in text, f"{response.request.method} {response.request.url}: {text[:3000]}"


def seen_by(tenant: Tenant, routes: list[Asked], group: str) -> dict[str, Any]:
    """All answers that a tenant gets about a plugin and about the server, to the byte where nothing is left out."""
    seen: dict[str, Any] = {}
    for asked in routes:
        if asked.method != "GET" or group_of(asked.template) not in (group, "server") or 503 in asked.row.statuses:
            continue  # of the probes, which tell of the process and the time
        response = tenant.ask("GET", asked.path(tenant.ids))
        body: Any = response.content
        if asked.row.varies:
            body = {key: value for key, value in response.json().items() if key not in asked.row.varies}
        seen[asked.template] = (response.status_code, response.headers.get("etag"), body)
    return seen


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("role", [ROLE, {}], ids=["operator", "viewer"])
def test_reads(tenants: dict[str, Tenant], routes: list[Asked], word: str, role: dict[str, str]) -> None:
    """Own things are there with own contents; of the other tenant's there is no trace, in body or headers."""
    tenant, (other,) = tenants[word], [one for one in WORDS if one != word]
    for asked in routes:
        if asked.method != "GET":
            continue
        response = tenant.ask("GET", asked.path(tenant.ids), role=role)
        assert response.status_code in asked.row.statuses, f"{asked.template}: {response.text}"
        # Of the other tenant's, these tests name ids in paths and files in bodies.
        repeated = [*tenant.foreign_ids.values(), *(f"{other}-{name}-shared.yaml" for name in PLUGINS)]
        check_silence(response, other, *(repeated if asked.row.repeats else ()))
        if response.headers.get("etag"):
            crossed = tenants[other].ask("GET", asked.path(tenants[other].ids), role=role)
            assert crossed.headers["etag"] != response.headers["etag"], asked.template


@pytest.mark.parametrize("word", WORDS)
def test_what_is_the_other_tenants_is_as_if_it_were_not_there(
    tenants: dict[str, Tenant], routes: list[Asked], word: str
) -> None:
    """By id: 404, in the very words for what nobody has."""
    tenant, (other,) = tenants[word], [one for one in WORDS if one != word]
    version = version_of(tenant)
    for asked in routes:
        if not asked.has_ids or (asked.method != "GET" and asked.row.foreign == 200):
            continue  # what takes any id changes things: test_changes
        body = prepared(asked.row.body, version)
        response = tenant.ask(asked.method, asked.path(tenant.foreign_ids), body)
        assert response.status_code == asked.row.foreign, f"{asked.method} {asked.template}: {response.text}"
        check_silence(response, other, *tenant.foreign_ids.values())
        nowhere = tenant.ask(asked.method, asked.path(dict.fromkeys(ID_PARAMETERS, NOWHERE)), body)
        assert nowhere.status_code == response.status_code
        said = response.text
        for name in tenant.foreign_ids.values():
            said = said.replace(name, NOWHERE)
        if not (asked.row.varies or asked.row.remembers):
            assert said == nowhere.text, asked.template


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("group", [*PLUGINS, "server"])
def test_changes(tenants: dict[str, Tenant], routes: list[Asked], word: str, group: str) -> None:
    """A change by one tenant, of what both have by name: the other one's answers stay as they were, to the byte."""
    tenant, (other,) = tenants[word], [one for one in WORDS if one != word]
    operator, original = tenant.operator, tenant.operator.file.read_bytes()
    version = version_of(tenant)
    for asked in routes:
        if asked.method == "GET" or group_of(asked.template) != group:
            continue
        for ids in [tenant.ids] + ([tenant.foreign_ids] if asked.has_ids and asked.row.foreign == 200 else []):
            operator.forget_limits()
            before = seen_by(tenants[other], routes, group)
            response = tenant.ask(asked.method, asked.path(ids), prepared(asked.row.body, version))
            assert response.status_code in asked.row.statuses, f"{asked.method} {asked.template}: {response.text}"
            check_silence(response, other, *ids.values())
            after = seen_by(tenants[other], routes, group)
            for template, answer in before.items():
                assert after[template] == answer, f"{asked.method} {asked.template} changed {template}"
            restore(operator, original)


def prepared(body: Mapping[str, Any] | None, version: str) -> Any:
    if body is None:
        return None
    return {key: version if value == "VERSION" else value for key, value in body.items() if value is not None}


def version_of(tenant: Tenant) -> str:
    response = tenant.ask("GET", f"{PLUGINS['skills'].base_path}/management/revisions")
    return str(response.json()["revisions"][0]["version"])


def restore(operator: Operator, original: bytes) -> None:
    if operator.file.read_bytes() != original:
        operator.file.write_bytes(original)
        loader = operator.client.server.background._loader
        loader.reconcile()
        loader.load()


def test_a_file_of_the_other_tenant_named_in_a_body(tenants: dict[str, Tenant]) -> None:
    """A body can name what a path cannot: the other tenant's file, id and namespace."""
    amber = tenants["amber"]
    for plugin in PLUGINS.values():
        file = f"cobalt-{plugin.name}-shared.yaml"
        source = {**SOURCE, "properties": {"yamlCatalogPath": file}}
        for path in ("apply-source", "sources"):
            response = amber.ask("POST", f"{plugin.base_path}/management/{path}", source)
            assert response.status_code == 422
            check_silence(response, "cobalt", file)
        response = amber.ask("POST", f"{plugin.base_path}/management/apply-source", {**SOURCE, "namespace": TENANTS[1]})
        assert response.status_code == 422


def test_filters_only_narrow(tenants: dict[str, Tenant]) -> None:
    """No parameter of a list reaches beyond the namespace; the query parameter `namespace` is the tenant itself."""
    amber = tenants["amber"]
    condition = "filterQuery=description%20LIKE%20'%25cobalt%25'%20OR%20name='cobalt-thing'"
    for path in (JOBS, "/api/assets", *(plugin.list_path for plugin in PLUGINS.values())):
        for query in ("source=only-cobalt", "sourceId=only-cobalt", "sourceLabel=cobalt-label", "q=cobalt", condition):
            response = amber.ask("GET", f"{path}?{query}")
            assert response.status_code == 200
            check_silence(response, "cobalt")
    for plugin in PLUGINS.values():
        for query in ("source=only-cobalt", "sourceLabel=cobalt-label", "q=cobalt", condition):
            assert amber.ask("GET", f"{plugin.list_path}?{query}").json()["items"] == []
        response = amber.ask("GET", f"{plugin.list_path}?namedQuery=cobalt-query")
        assert response.status_code == 400
        check_silence(response, "cobalt", "cobalt-query")
    for query in ("sourceId=only-cobalt", "requestedBy=cobalt-user"):
        assert amber.ask("GET", f"{JOBS}?{query}").json()["jobs"] == []
