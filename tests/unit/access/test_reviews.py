"""Questions as values: equal ones are equal, however a proxy puts them."""

from __future__ import annotations

from catalog_server.access.permissions import LIST_ASSETS
from catalog_server.access.principal import Principal
from catalog_server.access.reviews import Question
from catalog_server.scope import DEFAULT_SCOPE


def question(principal: Principal) -> Question:
    return Question.of(principal, LIST_ASSETS, DEFAULT_SCOPE)


def test_order_and_repetition_of_groups_and_extra_then_the_same_question() -> None:
    one = Principal("ann", ("b", "a", "b"), False, {"x": ("2", "1"), "scopes": ("s",)})
    other = Principal("ann", ("a", "b"), False, {"scopes": ("s",), "x": ("1", "2")})
    assert question(one) == question(other)
    assert hash(question(one)) == hash(question(other))


def test_role_then_no_part_of_the_question() -> None:
    assert question(Principal("ann", is_operator=True)) == question(Principal("ann"))
