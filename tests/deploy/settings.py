"""Which variables and flags the server knows."""

from __future__ import annotations

from collections.abc import Iterable

from catalog_server.settings import TABLE

VARIABLES = {row.variable for row in TABLE}
FLAGS = {row.flag for row in TABLE}


def unknown_variables(names: Iterable[str]) -> set[str]:
    return set(names) - VARIABLES


def unknown_flags(arguments: Iterable[str]) -> set[str]:
    return {one.partition("=")[0] for one in arguments if one.startswith("-")} - FLAGS
