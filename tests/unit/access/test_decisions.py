"""Decisions that are kept: how long, how many, and one review for all who ask the same (spec platform.md 4.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field

import pytest

from catalog_server.access.decisions import THREADS, Decisions, Undecided
from catalog_server.access.permissions import GET_ASSETS, LIST_ASSETS
from catalog_server.access.principal import Principal
from catalog_server.access.reviews import Question
from catalog_server.errors import Forbidden, Unavailable
from catalog_server.scope import DEFAULT_SCOPE, Scope

SECONDS = 10.0


def question(user: str = "ann", namespace: str = "default") -> Question:
    return Question.of(Principal(user), LIST_ASSETS, Scope(namespace))


@dataclass
class Cluster:
    """Allows whom it is told to; remembers what it was asked."""

    allowed: set[str] = field(default_factory=set)
    asked: list[Question] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    now: float = 1000.0
    before: Callable[[], None] = lambda: None

    def review(self, question: Question, timeout_seconds: float) -> bool:
        self.asked.append(question)
        self.seconds.append(timeout_seconds)
        self.before()
        return question.user in self.allowed

    def decisions(self, **options: float) -> Decisions:
        return Decisions(self.review, clock=lambda: self.now, **options)  # type: ignore[arg-type]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster({"ann"})


@pytest.fixture
def decisions(cluster: Cluster) -> Iterator[Decisions]:
    found = cluster.decisions()
    yield found
    found.close()


def settled(answer: bool | Future[bool]) -> bool:
    return answer if isinstance(answer, bool) else answer.result(SECONDS)


@pytest.mark.parametrize(("user", "allowed"), [("ann", True), ("bob", False)])
def test_decision_when_asked_again_then_kept_whatever_it_is(
    cluster: Cluster, decisions: Decisions, user: str, allowed: bool
) -> None:
    assert settled(decisions.get(question(user))) is allowed
    for _ in range(5):
        assert decisions.get(question(user)) is allowed
    assert len(cluster.asked) == 1


def test_change_of_mind_when_ten_seconds_are_over_then_seen_and_not_before(
    cluster: Cluster, decisions: Decisions
) -> None:
    settled(decisions.get(question()))
    cluster.allowed.clear()
    cluster.now += 9.999
    assert decisions.get(question()) is True
    cluster.now += 0.001
    assert settled(decisions.get(question())) is False
    cluster.allowed.add("ann")
    cluster.now += 10
    assert settled(decisions.get(question())) is True
    assert len(cluster.asked) == 3


def test_time_of_life_when_the_answer_was_slow_then_counted_from_the_asking(
    cluster: Cluster, decisions: Decisions
) -> None:
    def take_two_seconds() -> None:
        cluster.now += 2

    cluster.before = take_two_seconds
    settled(decisions.get(question()))
    cluster.now += 7.9
    assert decisions.get(question()) is True
    cluster.now += 0.1
    assert settled(decisions.get(question()))
    assert len(cluster.asked) == 2


def test_time_of_life_when_given_then_that() -> None:
    cluster = Cluster({"ann"})
    decisions = cluster.decisions(ttl_seconds=0.05)
    settled(decisions.get(question()))
    cluster.now += 0.049
    assert decisions.get(question()) is True
    cluster.now += 0.002
    assert isinstance(decisions.get(question()), Future)
    decisions.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Principal("system:serviceaccount:a:b"), Principal("system", ("serviceaccount:a:b",))),
        (Principal("a", ("b", "c")), Principal("a", ("b,c",))),
        (Principal("a", ("b",)), Principal("a:b")),
        (Principal("a", ("b",)), Principal("a", (), False, {"b": ()})),
        (Principal("a", (), False, {"k": ("v",)}), Principal("a", (), False, {"k": ("w",)})),
        (Principal("a", (), False, {"k": ("v", "w")}), Principal("a", (), False, {"k": ("v,w",)})),
    ],
)
def test_callers_who_look_alike_when_joined_then_two_questions(
    cluster: Cluster, decisions: Decisions, one: Principal, other: Principal
) -> None:
    for principal in (one, other):
        settled(decisions.get(Question.of(principal, LIST_ASSETS, DEFAULT_SCOPE)))
    assert len(cluster.asked) == 2


def test_questions_when_permission_or_namespace_differ_then_each_its_own(
    cluster: Cluster, decisions: Decisions
) -> None:
    for permission in (LIST_ASSETS, GET_ASSETS):
        for namespace in ("team-a", "team-b"):
            settled(decisions.get(Question.of(Principal("ann"), permission, Scope(namespace))))
    assert len(set(cluster.asked)) == 4


def test_thousand_callers_at_once_then_one_review(cluster: Cluster, decisions: Decisions) -> None:
    """1,000 identical uncached questions cause one SubjectAccessReview."""
    go = threading.Event()
    cluster.before = lambda: _wait(go)
    with ThreadPoolExecutor(32) as callers:
        flights = [one.result(SECONDS) for one in [callers.submit(decisions.get, question()) for _ in range(1000)]]
    assert all(isinstance(one, Future) for one in flights)
    go.set()
    assert [settled(one) for one in flights] == [True] * 1000
    assert len(cluster.asked) == 1
    assert decisions.get(question()) is True


@pytest.mark.parametrize("error", [Unavailable("kubernetes: POST /apis: no answer in time"), Forbidden("403: for us")])
def test_error_then_not_kept_and_told_without_its_reason(
    cluster: Cluster, decisions: Decisions, error: Exception
) -> None:
    def fail() -> None:
        raise error

    cluster.before = fail
    for _ in range(3):
        with pytest.raises(Undecided) as caught:
            settled(decisions.get(question()))
        assert caught.value.message == "authorization check failed"
    assert len(cluster.asked) == 3
    cluster.before = lambda: None
    assert settled(decisions.get(question())) is True


def test_error_when_many_wait_for_one_review_then_all_hear_of_it(cluster: Cluster, decisions: Decisions) -> None:
    go = threading.Event()

    def fail() -> None:
        _wait(go)
        raise Unavailable("down")

    cluster.before = fail
    flights = [decisions.get(question()) for _ in range(10)]
    go.set()
    for one in flights:
        with pytest.raises(Unavailable):
            settled(one)
    assert len(cluster.asked) == 1


def test_bug_in_a_review_then_no_decision_and_the_next_one_asks_anew(cluster: Cluster, decisions: Decisions) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    cluster.before = fail
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            settled(decisions.get(question()))
    assert len(cluster.asked) == 2


def test_many_questions_then_only_as_many_kept_and_the_longest_unused_leaves(cluster: Cluster) -> None:
    decisions = cluster.decisions(max_entries=3)
    for user in ("ann", "bob", "cid"):
        settled(decisions.get(question(user)))
    assert decisions.get(question("ann")) is True
    settled(decisions.get(question("dan")))
    assert [type(decisions.get(question(user))) for user in ("ann", "cid", "dan")] == [bool] * 3
    assert isinstance(decisions.get(question("bob")), Future)
    for number in range(100):
        settled(decisions.get(question(f"u{number}")))
    assert len(decisions._known) == 3
    assert decisions._asked == {}
    decisions.close()


def test_question_when_no_thread_is_free_in_time_then_not_asked_any_more(
    cluster: Cluster, decisions: Decisions
) -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        begun.release()
        _wait(go)

    cluster.before = hold
    held = [decisions.get(question(f"u{number}")) for number in range(THREADS)]
    for _ in held:
        assert begun.acquire(timeout=SECONDS)
    late = decisions.get(question())
    cluster.now += 3
    go.set()
    with pytest.raises(Unavailable):
        settled(late)
    assert question() not in cluster.asked
    wait_for([one for one in held if isinstance(one, Future)], SECONDS)


def test_review_then_told_how_much_time_is_left(cluster: Cluster, decisions: Decisions) -> None:
    settled(decisions.get(question()))
    assert cluster.seconds == [3.0]


def test_close_then_nobody_waits_for_ever(cluster: Cluster, decisions: Decisions) -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        begun.release()
        _wait(go)

    cluster.before = hold
    flights = [decisions.get(question(f"u{number}")) for number in range(THREADS + 1)]
    for _ in range(THREADS):
        assert begun.acquire(timeout=SECONDS)
    decisions.close()
    go.set()
    with pytest.raises(CancelledError):
        settled(flights[-1])


def _wait(event: threading.Event) -> None:
    assert event.wait(SECONDS)
