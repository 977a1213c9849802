"""Who may do what, by role and by review."""

from __future__ import annotations

import pytest

from catalog_server.access import permissions
from catalog_server.access.authorizers import ReviewAuthorizer, RoleAuthorizer
from catalog_server.access.decisions import Decisions
from catalog_server.access.permissions import CREATE_JOBS, GET_ASSETS, UNKNOWN, Permission
from catalog_server.access.principal import ANONYMOUS, Principal
from catalog_server.access.reviews import Question
from catalog_server.errors import Unauthenticated
from catalog_server.scope import DEFAULT_SCOPE, Scope

ALL = [one for one in vars(permissions).values() if isinstance(one, Permission) and one is not UNKNOWN]
VIEWER, OPERATOR = Principal("vic"), Principal("olivia", is_operator=True)


@pytest.mark.parametrize("permission", ALL, ids=str)
def test_role_then_everybody_reads_and_operators_change(permission: Permission) -> None:
    decide = RoleAuthorizer().decide
    for principal in (ANONYMOUS, VIEWER):
        assert decide(principal, permission, DEFAULT_SCOPE) is (permission.verb in ("get", "list"))
    assert decide(OPERATOR, permission, DEFAULT_SCOPE) is True


NO_ROUTE = [UNKNOWN, Permission(*UNKNOWN)]
LAST = Permission("zebras", "create")
"""What sorts behind the unknown is not unknown."""


@pytest.mark.parametrize("unknown", NO_ROUTE)
def test_role_when_there_is_no_route_then_everybody_hears_so(unknown: Permission) -> None:
    assert RoleAuthorizer().decide(ANONYMOUS, unknown, DEFAULT_SCOPE) is True
    assert RoleAuthorizer().decide(ANONYMOUS, LAST, DEFAULT_SCOPE) is False


class TestReviews:
    @pytest.fixture
    def asked(self) -> list[Question]:
        return []

    @pytest.fixture
    def authorizer(self, asked: list[Question]) -> ReviewAuthorizer:
        def review(question: Question, timeout_seconds: float) -> bool:
            asked.append(question)
            return True

        return ReviewAuthorizer(Decisions(review))

    @pytest.mark.parametrize("principal", [ANONYMOUS, Principal("anonymous", ("system:masters",), True)])
    @pytest.mark.parametrize("permission", [*ALL, UNKNOWN], ids=str)
    def test_nobody_then_unauthenticated_and_not_asked_about(
        self, authorizer: ReviewAuthorizer, asked: list[Question], principal: Principal, permission: Permission
    ) -> None:
        with pytest.raises(Unauthenticated):
            authorizer.decide(principal, permission, DEFAULT_SCOPE)
        assert asked == []

    @pytest.mark.parametrize("unknown", NO_ROUTE)
    def test_unknown_then_denied_though_the_cluster_allows_everything(
        self, authorizer: ReviewAuthorizer, asked: list[Question], unknown: Permission
    ) -> None:
        assert authorizer.decide(OPERATOR, unknown, DEFAULT_SCOPE) is False
        assert asked == []
        assert authorizer.decide(OPERATOR, LAST, DEFAULT_SCOPE) is not False

    def test_question_then_the_caller_the_permission_and_the_namespace(
        self, authorizer: ReviewAuthorizer, asked: list[Question]
    ) -> None:
        answer = authorizer.decide(Principal("ann", ("b", "a")), CREATE_JOBS, Scope("team-a"))
        assert not isinstance(answer, bool)
        assert answer.result(10) is True
        assert asked == [Question("ann", ("a", "b"), (), CREATE_JOBS, "team-a")]

    def test_denial_then_names_permission_and_namespace(self, authorizer: ReviewAuthorizer) -> None:
        assert authorizer.denial(GET_ASSETS, Scope("team-b")) == (
            "insufficient permissions for assets/get in namespace team-b"
        )
        for unknown in NO_ROUTE:
            assert authorizer.denial(unknown, DEFAULT_SCOPE) == "insufficient permissions for an unknown endpoint"
        assert "zebras/create" in authorizer.denial(LAST, DEFAULT_SCOPE)
