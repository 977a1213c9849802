"""Principals, and what names of groups may be."""

from __future__ import annotations

import dataclasses

import pytest

from catalog_server.access.principal import ANONYMOUS, LONGEST_GROUP, LONGEST_USER, MOST_GROUPS, Principal, read_groups
from catalog_server.errors import Invalid


def test_who_is_called_anonymous_is_nobody() -> None:
    assert ANONYMOUS.is_anonymous
    assert Principal("anonymous", ("staff",)).is_anonymous
    assert not Principal("ann").is_anonymous


def test_groups_are_trimmed_without_blanks_and_doubles_in_order() -> None:
    assert read_groups([" b", "a ", "", "  ", "b", "c d"], "groups") == ("b", "a", "c d")


def test_groups_up_to_the_limits_are_taken_whole() -> None:
    names = [f"g{number}" for number in range(MOST_GROUPS)]
    assert read_groups([*names, *names], "groups") == tuple(names)
    assert read_groups(["x" * LONGEST_GROUP], "groups") == ("x" * LONGEST_GROUP,)


@pytest.mark.parametrize(
    "given",
    [
        [f"g{number}" for number in range(MOST_GROUPS + 1)],
        ["x" * (LONGEST_GROUP + 1)],
        ["a\x00b"],
        ["a\nb"],
        ["a\udc80"],
        ["\u202eadmin"],
    ],
)
def test_groups_beyond_are_refused_and_never_cut(given: list[str]) -> None:
    """Fewer groups would be other rights."""
    with pytest.raises(Invalid) as caught:
        read_groups(given, "X-Remote-Group")
    assert caught.value.field == "X-Remote-Group"


def test_who_is_called_anonymous_is_nobody_however_the_name_was_made() -> None:
    assert Principal("".join(["anony", "mous"])).is_anonymous


def test_limits_are_the_documented_ones() -> None:
    """docs/how-to/identify-callers.md and the columns of jobs and audit events say the same."""
    assert (LONGEST_USER, LONGEST_GROUP, MOST_GROUPS) == (255, 512, 500)
    assert not hasattr(ANONYMOUS, "__dict__")


def test_caller_cannot_become_another_one() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(ANONYMOUS, "is_operator", True)  # noqa: B010 - what types forbid
