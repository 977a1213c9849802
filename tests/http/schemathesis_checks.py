"""Checks for schemathesis, loaded by test_schemathesis.py: one of tenants, and its own of valid input, made narrower.

What a string of LANGUAGES means is decided by the catalog, or by a grammar that JSON Schema cannot tell: filters, names
of orders and of named queries, tokens, and sources together with labels. `name` is there for the artifacts of a model
that does not exist, where the contract asks for 400 (spec plugins.md 1.1). A 400 is good only where it blames one of
these and the request really had it.

Which steps a lifecycle has, and which environments a version may go to, depends on the asset's state; which parameters
an action takes, on the action in the path.

Of bodies it cannot tell what may stand inside of free-form objects: whether the file of a source is there, or a number
fits into a configuration. A source is judged in layers, and a fault in the one that looks at shapes is never good.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

UNFIT = (
    "invalid request body: it holds a N",
    "invalid request body: it holds a number",
    "invalid request body: nested",
)
LANGUAGES = {"filterQuery", "orderBy", "namedQuery", "pageToken", "nextPageToken", "sourceLabel"}


MARK = "For the eyes of team-b alone."
"""What only things of team-b say. It names nothing, so that no request made of other answers says it as well."""


@schemathesis.check
def no_other_tenant_is_seen(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """Only who asks for team-b is told what is team-b's."""
    asked = response.request
    namespaces = parse_qs(urlsplit(asked.url or "").query).get("namespace") or [asked.headers.get("X-Namespace", "")]
    if MARK in response.text and namespaces[0] != "team-b":
        raise AssertionError(f"{case.method} {asked.url} shows what belongs to team-b")
    return None


@schemathesis.check
def valid_input_is_accepted(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    if response.status_code == 400:
        blamed = response.json().get("field")
        if blamed in LANGUAGES & set(case.query or {}) or blamed in {"name", "environment"} & set(
            case.path_parameters or {}
        ):
            return None
        if response.json().get("code") == "LIFECYCLE_TRANSITION_DENIED":
            return None
        if "action" in (case.path_parameters or {}) and str(blamed).startswith("params."):
            return None
        if response.json()["message"].startswith(UNFIT):
            return None
    if response.status_code == 422 and {one["layer"] for one in response.json()["errors"]} <= {
        "provider",
        "yaml_parse",
    }:
        return None
    return positive_data_acceptance(ctx, response, case)
