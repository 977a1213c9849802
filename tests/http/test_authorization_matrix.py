"""Every route x every caller x tenants, made from the routes themselves, against the permission map of the spec.

A route without a row in `PERMISSIONS` fails, and so does a row without a route: whoever adds a route says here, for the
second time and by hand, what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from catalog_server.http.router import Route
from catalog_server.http.routes.governance import BASE as GOVERNANCE
from tests.fake_kubernetes import KubeObject, serve_cluster
from tests.http.client import BASES, LISTS, Client, check_error
from tests.http.operator import operating
from tests.issuers import Issuer

PERMISSIONS = """
# {B} is the base path of a plugin, with or without /management; {P} the plural of its kind; {G} the base path of
# governance. `-`: for everybody.
GET     /                                           -
GET     /openapi.json                               -
GET     /healthz                                    -
GET     /livez                                      -
GET     /readyz                                     -
GET     /healthz/{check}                            -
GET     /livez/{check}                              -
GET     /readyz/{check}                             -
GET     /api/tenancy/v1alpha1/namespaces            -
GET     /api/plugins                                plugins/list
GET     /api/plugins/{plugin_name}/capabilities     capabilities/get
GET     /api/assets                                 assets/list
GET     /api/assets/{kind}/{name}                   assets/get
GET     /api/jobs/v1alpha1/refresh                  jobs/list
GET     /api/jobs/v1alpha1/refresh/{job_id}         jobs/get
POST    /api/jobs/v1alpha1/refresh/{job_id}:cancel  jobs/create
GET     /api/audit/v1alpha1/events                  audit/list
GET     /api/audit/v1alpha1/events:export           audit/list
GET     /api/audit/v1alpha1/events/{event_id}       audit/get
GET     {G}/assets/{plugin}/{kind}/{name}           approvals/list
PATCH   {G}/assets/{plugin}/{kind}/{name}           approvals/update
GET     {G}/assets/{plugin}/{kind}/{name}/history   approvals/list
POST    {G}/assets/{plugin}/{kind}/{name}/actions/{action}  approvals/approve
GET     {G}/assets/{plugin}/{kind}/{name}/versions  approvals/list
POST    {G}/assets/{plugin}/{kind}/{name}/versions  approvals/approve
GET     {G}/assets/{plugin}/{kind}/{name}/bindings  approvals/list
PUT     {G}/assets/{plugin}/{kind}/{name}/bindings/{environment}  approvals/update
GET     {G}/approvals                               approvals/list
GET     {G}/approvals/{request_id}                  approvals/list
POST    {G}/approvals/{request_id}/decisions        approvals/approve
POST    {G}/approvals/{request_id}/cancel           approvals/approve
GET     {G}/policies                                approvals/list
GET     {B}/{P}                                     assets/list
GET     {B}/{P}/filter_options                      assets/list
GET     {B}/{P}/{name}                              assets/get
GET     {B}/{P}/{name}/dependencies                 assets/get
GET     {B}/sources/{source_id}/{P}/{name}          assets/get
GET     {B}/sources/{source_id}/{P}/{name}/artifacts  assets/get
GET     {B}/entities/{name}                         assets/get
POST    {B}/{P}/{name}:action                       actions/execute
POST    {B}/entities/{name}:action                  actions/execute
POST    {B}/sources/{source_id}:action              actions/execute
GET     {B}/actions/source                          actions/list
GET     {B}/actions/asset                           actions/list
GET     {B}/sources                                 catalogsources/list
GET     {B}/labels                                  catalogsources/list
GET     {B}/diagnostics                             catalogsources/get
GET     {B}/revisions                               catalogsources/get
GET     {B}/sources/{source_id}/revisions           catalogsources/get
POST    {B}/apply-source                            catalogsources/create
POST    {B}/sources                                 catalogsources/create
POST    {B}/validate-source                         catalogsources/update
POST    {B}/sources/{source_id}:validate            catalogsources/update
POST    {B}/sources/{source_id}/enable              catalogsources/update
POST    {B}/sources/{source_id}:rollback            catalogsources/update
POST    {B}/rollback                                catalogsources/update
DELETE  {B}/sources/{source_id}                     catalogsources/delete
POST    {B}/refresh                                 jobs/create
POST    {B}/refresh/{source_id}                     jobs/create
POST    {B}/sources/{source_id}/refresh             jobs/create
"""

TENANTS = ("team-a", "team-b")
TENANCY: Mapping[str, Mapping[str, str]] = {
    "single": {},
    "namespace": {"CATALOG_TENANCY_MODE": "namespace", "CATALOG_NAMESPACES": ",".join(TENANTS)},
}
NAMESPACES = {"single": ("default",), "namespace": TENANTS}
REFUSED = (401, 403, 503)


def parse_permissions() -> dict[tuple[str, str], str]:
    rows = [line.split() for line in PERMISSIONS.splitlines() if line and not line.startswith("#")]
    assert all(len(row) == 3 for row in rows)
    found = {(method, template): permission for method, template, permission in rows}
    assert len(found) == len(rows)
    return found


EXPECTED = parse_permissions()


def row_of(route: Route) -> tuple[str, str]:
    template = route.template.replace("...", "")
    for base, listing in zip(BASES, LISTS, strict=True):
        if template == base or template.startswith(f"{base}/"):
            rest = template.removeprefix(base).removeprefix("/management")
            plural = listing.rpartition("/")[2]
            return route.method, "{B}" + re.sub(rf"(?<=/){plural}(?=/|$)", "{P}", rest)
    return route.method, template.replace(GOVERNANCE, "{G}")


@dataclass(frozen=True)
class RoleMode:
    """A way in which callers get a role: how the server is set, and what each of them sends."""

    callers: Mapping[str, Mapping[str, str]]
    env: Callable[[Path], Mapping[str, str]] = lambda _: {}
    """Settings; files that they name are put into the folder."""


def by_token(**claims: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {ISSUER.token(exp=4_000_000_000, **claims)}"}


def key_file(folder: Path) -> Mapping[str, str]:
    (folder / "key.pem").write_bytes(ISSUER.pem)
    return {"CATALOG_AUTH_MODE": "jwt", "CATALOG_JWT_PUBLIC_KEY_PATH": str(folder / "key.pem")}


ISSUER = Issuer()
LIES = {"X-Remote-User": "olivia", "X-User-Role": "operator"}
"""What counts in one mode and must not in another."""
ROLE_MODES = {
    "none": RoleMode(
        {
            "anonymous": {},
            "viewer": {"X-Remote-User": "vic", "X-User-Role": "viewer"},
            "operator": {"X-Remote-User": "olivia", "X-User-Role": "operator"},
        }
    ),
    "jwt": RoleMode(
        {
            "anonymous": LIES,
            "viewer": {**by_token(sub="vic", role="viewer"), **LIES},
            "operator": by_token(sub="olivia", role="operator"),
        },
        key_file,
    ),
}


class Matrix:
    """Asks each route of one server, and writes down what should not have been."""

    def __init__(self, client: Client, tenancy: str) -> None:
        self.client = client
        self.tenancy = tenancy
        self.faults: list[str] = []

    def routes(self) -> Iterator[tuple[Route, str]]:
        """Each route, with the permission that it has to need."""
        for route in self.client.server.app.router.routes:
            yield route, EXPECTED[row_of(route)]

    def ask(self, route: Route, headers: Mapping[str, str], namespace: str) -> httpx.Response:
        path = re.sub(r"\{[a-z_.]+\}", "x", route.template)
        tenant = {"X-Namespace": namespace} if self.tenancy == "namespace" else {}
        return self.client.request(route.method, path, headers={**headers, **tenant})

    def expect(
        self, route: Route, caller: str, answer: httpx.Response, right: Callable[[httpx.Response], bool]
    ) -> None:
        if answer.status_code in REFUSED:
            check_error(answer)
        if not right(answer):
            self.faults.append(f"{route.method} {route.template} as {caller}: {answer.status_code} {answer.text[:200]}")


def passes(answer: httpx.Response) -> bool:
    return answer.status_code not in REFUSED and answer.status_code < 500


def is_denied(permission: str, namespace: str) -> Callable[[httpx.Response], bool]:
    message = f"insufficient permissions for {permission} in namespace {namespace}"
    return lambda answer: (
        answer.status_code == 403 and answer.json() == {**answer.json(), "error": "forbidden", "message": message}
    )


def is_role_denied(answer: httpx.Response) -> bool:
    wanted = {"error": "forbidden", "message": "insufficient permissions"}
    return answer.status_code == 403 and answer.json() == {**answer.json(), **wanted}


def is_unauthorized(answer: httpx.Response) -> bool:
    return answer.status_code == 401 and answer.json()["error"] == "unauthorized"


def test_table_then_has_a_row_for_each_route_and_no_other(tmp_path: Path) -> None:
    with operating(tmp_path) as operator:
        served = {row_of(route) for route in operator.client.server.app.router.routes}
    assert sorted(served - set(EXPECTED)) == [], "routes without a row"
    assert sorted(set(EXPECTED) - served) == [], "rows without a route"


@pytest.mark.parametrize("tenancy", TENANCY)
@pytest.mark.parametrize("mode", ROLE_MODES)
def test_roles_then_everybody_reads_and_operators_change(tmp_path: Path, mode: str, tenancy: str) -> None:
    """Spec platform.md 4.2, for every route, role and tenant."""
    by_role = ROLE_MODES[mode]
    with operating(tmp_path, **by_role.env(tmp_path), **TENANCY[tenancy]) as operator:
        matrix = Matrix(operator.client, tenancy)
        for route, permission in matrix.routes():
            is_open = permission == "-" or permission.rpartition("/")[2] in ("get", "list")
            for caller, headers in by_role.callers.items():
                right = passes if is_open or caller == "operator" else is_role_denied
                for namespace in NAMESPACES[tenancy]:
                    matrix.expect(route, f"{caller} in {namespace}", matrix.ask(route, headers, namespace), right)
    assert matrix.faults == []


@pytest.mark.parametrize("tenancy", TENANCY)
def test_reviews_then_only_the_permission_of_the_route_opens_it(tmp_path: Path, tenancy: str) -> None:
    """For every route: who has just its permission, in one namespace, gets in there; who has all others does not."""
    home, *elsewhere = NAMESPACES[tenancy]

    def allows(spec: KubeObject) -> bool:
        kind, _, permission = spec["user"].partition(":")
        wanted = spec["resourceAttributes"]
        is_the_one = f"{wanted['resource']}/{wanted['verb']}" == permission
        assert wanted["group"] == "catalog.kubeflow.org"
        return bool(wanted["namespace"] == home and is_the_one == (kind == "only"))

    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        cluster.allows = allows
        env = {"CATALOG_AUTHZ_MODE": "sar", "CATALOG_KUBERNETES_URL": url, **TENANCY[tenancy]}
        with operating(tmp_path, **env) as operator:
            matrix = Matrix(operator.client, tenancy)
            for route, permission in matrix.routes():
                expect_reviewed(matrix, route, permission, home, elsewhere)
    assert matrix.faults == []


def expect_reviewed(matrix: Matrix, route: Route, permission: str, home: str, elsewhere: list[str]) -> None:
    def ask(user: str, namespace: str = home) -> httpx.Response:
        # The role is a lie that must not help.
        return matrix.ask(route, {"X-Remote-User": user, "X-User-Role": "operator"}, namespace)

    def expect(caller: str, answer: httpx.Response, right: Callable[[httpx.Response], bool]) -> None:
        matrix.expect(route, caller, answer, right)

    nobody = matrix.ask(route, {"X-User-Role": "operator"}, home)
    if permission == "-":
        asks_who = matrix.tenancy == "namespace" and route.template.endswith("/namespaces")
        expect("nobody", nobody, is_unauthorized if asks_who else passes)
        expect("somebody", ask("only:nothing/get"), passes)
        return
    expect("nobody", nobody, is_unauthorized)
    expect("one who may", ask(f"only:{permission}"), passes)
    expect("one who may all else", ask(f"all-but:{permission}"), is_denied(permission, home))
    for namespace in elsewhere:
        expect(f"one of {home} in {namespace}", ask(f"only:{permission}", namespace), is_denied(permission, namespace))
