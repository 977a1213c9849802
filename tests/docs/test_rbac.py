"""The manifests of docs/how-to/authorize-with-kubernetes.md: whole, and about permissions that exist."""

from __future__ import annotations

from typing import Any

import yaml

from catalog_server.access import permissions
from catalog_server.access.permissions import UNKNOWN, Permission
from catalog_server.access.reviews import API_GROUP
from tests.docs.pages import blocks_of, text_of
from tests.fake_rbac import API, place_of

PAGE = "docs/how-to/authorize-with-kubernetes.md"
ALL = {str(one) for one in vars(permissions).values() if isinstance(one, Permission) and one is not UNKNOWN}
ROLES = ("catalog-viewer", "catalog-editor", "catalog-operator")


def manifests() -> list[dict[str, Any]]:
    """What a reader applies, in order."""
    texts = [block.text for block in blocks_of(PAGE) if block.language == "yaml"]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text)]


def granted(name: str) -> set[str]:
    (role,) = (one for one in manifests() if one["kind"] == "Role" and one["metadata"]["name"] == name)
    assert all(rule["apiGroups"] == [API_GROUP] for rule in role["rules"])
    pairs = [(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]]
    assert len(pairs) == len(set(pairs)), "granted twice"
    return {str(Permission(*pair)) for pair in pairs}


def test_roles_then_grant_permissions_that_exist_and_each_more_than_the_one_before() -> None:
    viewer, editor, operator = map(granted, ROLES)
    assert viewer < editor < operator
    assert operator == ALL
    assert {verb.rpartition("/")[2] for verb in viewer} == {"get", "list"}


def test_bindings_then_lead_to_roles_of_their_place() -> None:
    found = {(*place_of(one), one["metadata"]["name"]) for one in manifests()}
    assert len(found) == len(manifests())
    for binding in (one for one in manifests() if "roleRef" in one):
        ref, (_, namespace) = binding["roleRef"], place_of(binding)
        assert ref["apiGroup"] == API.partition("/")[0]
        plural = {"Role": "roles", "ClusterRole": "clusterroles"}[ref["kind"]]
        assert (plural, namespace if ref["kind"] == "Role" else "", ref["name"]) in found
        for subject in binding["subjects"]:
            assert ("namespace" in subject) == (subject["kind"] == "ServiceAccount")
            assert ("apiGroup" in subject) == (subject["kind"] != "ServiceAccount")


def test_account_of_the_server_then_may_ask_and_nothing_else() -> None:
    (role,) = (one for one in manifests() if one["kind"] == "ClusterRole")
    asking = {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}
    assert role["rules"] == [asking]


def test_table_of_permissions_then_whole() -> None:
    """Each permission has a row that says what it opens."""
    rows = [line.split("|")[1:3] for line in text_of(PAGE).splitlines() if line.startswith("| `")]
    named = {
        f"{resource.strip().strip('`')}/{verb.strip().strip('`')}"
        for resource, verbs in rows
        for verb in verbs.split(",")
    }
    assert named >= ALL
