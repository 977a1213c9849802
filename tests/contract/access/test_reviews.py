"""SubjectAccessReviews over HTTP: what is asked, what the answers mean, and that silence is no permission."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from catalog_server.access.decisions import Decisions
from catalog_server.access.permissions import CREATE_JOBS, LIST_ASSETS
from catalog_server.access.principal import Principal
from catalog_server.access.reviews import KubernetesReviewer, Question
from catalog_server.errors import CatalogError, Forbidden, Unavailable
from catalog_server.kube.access import access_by_url
from catalog_server.kube.client import KubeClient
from catalog_server.scope import Scope
from tests.fake_kubernetes import REVIEWS, TOKEN, Cluster, Refused, serve_cluster
from tests.fake_rbac import API

ANN = Question.of(
    Principal("system:serviceaccount:ci:ann", ("b", "a"), False, {"scopes": ("x", "w")}), LIST_ASSETS, Scope("team-a")
)
Served = tuple[Cluster, KubernetesReviewer]


@pytest.fixture
def served() -> Iterator[Served]:
    with serve_cluster() as (cluster, url):
        client = KubeClient(access_by_url(url, TOKEN))
        yield cluster, KubernetesReviewer(client)
        client.close()


def test_review_then_says_all_of_the_caller(served: Served) -> None:
    cluster, review = served
    assert review(ANN, 5) is False
    assert cluster.requests == [("POST", f"/apis/authorization.k8s.io/v1/{REVIEWS}")]
    assert cluster.reviews == [
        {
            "user": "system:serviceaccount:ci:ann",
            "groups": ["a", "b"],
            "extra": {"scopes": ["w", "x"]},
            "resourceAttributes": {
                "group": "catalog.kubeflow.org",
                "resource": "assets",
                "verb": "list",
                "namespace": "team-a",
            },
        }
    ]
    review(Question.of(Principal("ann"), CREATE_JOBS, Scope("default")), 5)
    assert set(cluster.reviews[1]) == {"user", "resourceAttributes"}


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({"allowed": True}, True),
        ({"allowed": True, "reason": "RBAC", "evaluationError": "a role is missing"}, True),
        ({"allowed": False}, False),
        ({"allowed": False, "denied": True}, False),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": False, "evaluationError": "a role is missing"}, False),
    ],
)
def test_answer_then_allowed_only_where_it_says_so(served: Served, status: dict[str, Any], allowed: bool) -> None:
    cluster, review = served
    cluster.answer = lambda *_: (201, {"status": status})  # type: ignore[method-assign]
    assert review(ANN, 5) is allowed


@pytest.mark.parametrize(
    "answer", [{}, {"status": None}, {"status": []}, {"status": {}}, {"status": {"allowed": "true"}}]
)
def test_answer_without_a_decision_then_unavailable(served: Served, answer: Any) -> None:
    cluster, review = served
    cluster.answer = lambda *_: (201, answer)  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        review(ANN, 5)


def test_account_that_may_not_ask_then_an_error_and_no_denial(served: Served) -> None:
    cluster, review = served
    cluster.forbidden.add(("POST", REVIEWS))
    with pytest.raises(Forbidden):
        review(ANN, 5)
    decisions = Decisions(review)
    answer = decisions.get(ANN)
    assert not isinstance(answer, bool)
    with pytest.raises(Unavailable):
        answer.result(10)
    decisions.close()


def test_api_when_slow_then_unavailable_in_time(served: Served) -> None:
    cluster, review = served
    go = threading.Event()
    cluster.before = lambda method, path: _wait(go)
    with pytest.raises(Unavailable, match="no answer in time"):
        review(ANN, 0.2)
    go.set()


def test_api_when_it_hangs_up_then_unavailable(served: Served) -> None:
    cluster, review = served

    def before(method: str, path: str) -> None:
        raise ConnectionAbortedError

    cluster.before = before
    with pytest.raises(Unavailable):
        review(ANN, 5)


def test_thousand_threads_at_once_then_one_request(served: Served) -> None:
    cluster, review = served
    cluster.allows = lambda spec: True
    decisions, start = Decisions(review), threading.Barrier(20)

    def ask(number: int) -> list[bool]:
        start.wait(10)
        return [one if isinstance(one, bool) else one.result(10) for one in (decisions.get(ANN) for _ in range(50))]

    with ThreadPoolExecutor(20) as threads:
        answers = [one for found in threads.map(ask, range(20)) for one in found]
    assert answers == [True] * 1000
    assert len(cluster.requests) == 1
    decisions.close()


def test_many_questions_at_once_then_all_answered_rightly(served: Served) -> None:
    cluster, review = served
    cluster.allows = lambda spec: spec["user"].endswith("0")
    decisions = Decisions(review)
    questions = [Question.of(Principal(f"u{number}"), LIST_ASSETS, Scope("team-a")) for number in range(200)]
    answers = [decisions.get(one) for one in questions]
    found = [one if isinstance(one, bool) else one.result(10) for one in answers]
    assert found == [number % 10 == 0 for number in range(200)]
    assert len(cluster.reviews) == 200
    decisions.close()


def test_roles_and_bindings_then_as_rbac_has_it(served: Served) -> None:
    """What the tests' cluster says by itself: bindings count in their namespace, cluster-wide ones everywhere."""
    cluster, review = served
    rule = {"apiGroups": ["catalog.kubeflow.org"], "resources": ["assets"], "verbs": ["list"]}
    cluster.put("roles", "team-a", {"metadata": {"name": "r"}, "rules": [rule]}, api=API)
    group = API.partition("/")[0]
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r", "apiGroup": group},
        "subjects": [{"kind": "Group", "name": "staff", "apiGroup": group}],
    }
    cluster.put("rolebindings", "team-a", binding, api=API)

    def ask(*groups: str, namespace: str = "team-a", permission: Any = LIST_ASSETS) -> bool:
        return review(Question.of(Principal("ann", groups), permission, Scope(namespace)), 5)

    assert ask("other", "staff")
    assert not ask("other")
    assert not ask("staff", namespace="team-b")
    assert not ask("staff", permission=CREATE_JOBS)


@pytest.mark.parametrize("kind", [Refused(500, "InternalError", "x"), Refused(429, "TooManyRequests", "x")])
def test_api_when_it_fails_then_an_error(served: Served, kind: Refused) -> None:
    cluster, review = served

    def before(method: str, path: str) -> None:
        raise kind

    cluster.before = before
    with pytest.raises(CatalogError):
        review(ANN, 5)


def _wait(event: threading.Event) -> None:
    assert event.wait(10)
