"""What the cluster is asked: may this caller do this here? (spec platform.md 4.3)

For: one question as a value, and the SubjectAccessReview that asks it. Not for: remembering answers; see decisions.py.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from catalog_server.access.permissions import Permission
from catalog_server.access.principal import Principal
from catalog_server.errors import Unavailable
from catalog_server.kube.client import KubeClient
from catalog_server.kube.resources import SUBJECT_ACCESS_REVIEWS
from catalog_server.scope import Scope

API_GROUP: Final = "catalog.kubeflow.org"


class Question(NamedTuple):
    """All that a decision depends on. Equal questions are equal values, in whatever order a proxy names the groups.

    A tuple, not a joined text: user names hold colons (`system:serviceaccount:…`), groups hold commas.
    """

    user: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]
    permission: Permission
    namespace: str

    @classmethod
    def of(cls, principal: Principal, permission: Permission, scope: Scope) -> Question:
        groups = tuple(sorted(set(principal.groups)))
        extra = tuple(sorted((key, tuple(sorted(values))) for key, values in principal.extra.items()))
        return cls(principal.user, groups, extra, permission, scope.namespace)


class KubernetesReviewer:
    """Asks the Kubernetes API. The server's account needs the right to create subjectaccessreviews."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    def __call__(self, question: Question, timeout_seconds: float) -> bool:
        """Whether the cluster allows it.

        Raises:
            CatalogError: the API does not answer in time, refuses to answer, or answers with something else.
        """
        answer = self._client.request(
            "POST", SUBJECT_ACCESS_REVIEWS.path(), _review(question), timeout_seconds=timeout_seconds
        )
        status = answer.get("status")
        if not isinstance(status, dict) or not isinstance(status.get("allowed"), bool):
            raise Unavailable("kubernetes: the answer to a SubjectAccessReview has no status.allowed")
        # `denied` beside `allowed` contradicts itself; then the stricter of the two counts.
        return status["allowed"] is True and status.get("denied") is not True


def _review(question: Question) -> dict[str, Any]:
    # No resource name: a right to one entity alone would make each entity a question of its own.
    spec: dict[str, Any] = {
        "user": question.user,
        "resourceAttributes": {
            "group": API_GROUP,
            "resource": question.permission.resource,
            "verb": question.permission.verb,
            "namespace": question.namespace,
        },
    }
    if question.groups:
        spec["groups"] = list(question.groups)
    if question.extra:
        spec["extra"] = {key: list(values) for key, values in question.extra}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
