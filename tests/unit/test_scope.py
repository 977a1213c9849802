"""Scopes: only DNS labels are namespaces."""

from __future__ import annotations

import dataclasses

import pytest

from catalog_server.errors import Invalid
from catalog_server.scope import DEFAULT_SCOPE, NAMESPACE_MAX_LENGTH, Scope, check_namespace


@pytest.mark.parametrize("name", ["default", "a", "0", "team-a", "a--b", "1a", "x" * NAMESPACE_MAX_LENGTH])
def test_namespace_when_a_dns_label_then_is_taken(name: str) -> None:
    assert check_namespace(name) == name
    assert Scope(name).namespace == name


BAD = [
    "",
    "-",
    "-a",
    "a-",
    "Team-A",
    "team@a",
    "a_b",
    "a.b",
    "a b",
    "a\n",
    "ä",
    "\uff11",
    "x" * (NAMESPACE_MAX_LENGTH + 1),
]


@pytest.mark.parametrize("name", BAD)
def test_namespace_when_not_a_dns_label_then_is_refused_and_named(name: str) -> None:
    for check in (check_namespace, Scope):
        with pytest.raises(Invalid, match="invalid namespace") as caught:
            check(name)
        assert caught.value.field == "namespace"
        assert repr(name[:80]) in caught.value.message


def test_scope_when_made_then_cannot_be_changed_and_serves_as_a_key() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_SCOPE.namespace = "other"  # type: ignore[misc]
    assert {Scope("a"): 1}[Scope("a")] == 1
    assert Scope("default") == DEFAULT_SCOPE


def test_namespace_when_long_and_refused_then_80_characters_are_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        check_namespace("x" * 81)
    assert caught.value.message.startswith(f"invalid namespace {'x' * 80!r}:")


def test_namespace_has_63_characters_at_most() -> None:
    """Spec platform.md 3.1, as Kubernetes has it."""
    assert NAMESPACE_MAX_LENGTH == 63


def test_scope_holds_a_namespace_and_nothing_else() -> None:
    assert not hasattr(DEFAULT_SCOPE, "__dict__")
