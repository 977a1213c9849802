"""Role-based access control as Kubernetes does it, over the objects of the tests' cluster.

Roles and ClusterRoles with rules for resources, bound to users, groups and service accounts by RoleBindings (in their
namespace) and ClusterRoleBindings (everywhere). Not: names of resources, aggregated roles, URLs that are no resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

API = "rbac.authorization.k8s.io/v1"
PLURALS = {
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}
Objects = Mapping[tuple[str, str, str, str], dict[str, Any]]


def place_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """(plural, namespace) of a manifest, as `kubectl apply` finds them."""
    assert manifest["apiVersion"] == API
    return PLURALS[manifest["kind"]], manifest["metadata"].get("namespace", "")


def rbac_allows(objects: Objects, spec: Mapping[str, Any]) -> bool:
    """Whether the subject of a review has what the review asks about."""
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        return False
    return any(
        _covers(rule, wanted)
        for binding, namespace in _bindings(objects, wanted.get("namespace", ""))
        if any(_is_subject(subject, spec) for subject in binding.get("subjects", ()))
        for rule in _rules(objects, binding["roleRef"], namespace)
    )


def _bindings(objects: Objects, namespace: str) -> Iterator[tuple[dict[str, Any], str]]:
    for (api, place, plural, _), body in objects.items():
        if api == API and (plural == "clusterrolebindings" or (plural == "rolebindings" and place == namespace != "")):
            yield body, place


def _is_subject(subject: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    if subject["kind"] == "ServiceAccount":
        return bool(spec.get("user") == f"system:serviceaccount:{subject['namespace']}:{subject['name']}")
    if subject.get("apiGroup") != API.partition("/")[0]:
        return False
    if subject["kind"] == "Group":
        return subject["name"] in spec.get("groups", ())
    return bool(subject["kind"] == "User" and subject["name"] == spec.get("user"))


def _rules(objects: Objects, ref: Mapping[str, str], namespace: str) -> list[dict[str, Any]]:
    place = namespace if ref["kind"] == "Role" else ""
    role = objects.get((API, place, PLURALS[ref["kind"]], ref["name"]))
    found: list[dict[str, Any]] = role.get("rules", []) if role is not None else []
    return found


def _covers(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    pairs = (("apiGroups", "group"), ("resources", "resource"), ("verbs", "verb"))
    return all({"*", wanted.get(asked, "")} & set(rule.get(granted, ())) for granted, asked in pairs)
