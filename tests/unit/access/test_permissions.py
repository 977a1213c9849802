"""Permissions as values."""

from __future__ import annotations

import pytest

from catalog_server.access import permissions
from catalog_server.access.permissions import Permission

ALL = [one for one in vars(permissions).values() if isinstance(one, Permission)]


@pytest.mark.parametrize("one", ALL, ids=str)
def test_only_get_and_list_are_reads(one: Permission) -> None:
    assert one.is_read == (one.verb in {"get", "list"})


def test_permission_is_shown_as_resource_and_verb() -> None:
    assert str(permissions.CREATE_SOURCES) == "catalogsources/create"
