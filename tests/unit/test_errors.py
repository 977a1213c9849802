"""Errors: what their text says, and that they survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from catalog_server.errors import (
    CatalogError,
    Conflict,
    Forbidden,
    Invalid,
    Location,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize("kind", [Invalid, TooLarge, NotFound, Conflict, Forbidden, Unauthenticated, Unavailable])
def test_error_when_raised_then_is_a_catalog_error_whose_text_is_its_message(kind: type[CatalogError]) -> None:
    error = kind("it is wrong")
    assert (str(error), error.message, error.field) == ("it is wrong", "it is wrong", None)
    assert isinstance(error, CatalogError)


def test_too_large_when_caught_as_invalid_then_is() -> None:
    assert issubclass(TooLarge, Invalid)


@pytest.mark.parametrize(("column", "shown"), [(None, "f.yaml:3"), (7, "f.yaml:3:7")])
def test_invalid_when_it_has_a_location_then_the_message_begins_with_it(column: int | None, shown: str) -> None:
    error = Invalid("bad", field="a.b", location=Location("f.yaml", 3, column), position=4, code="c")
    assert error.message == str(error) == f"{shown}: bad"
    assert (error.reason, error.field, error.position, error.code) == ("bad", "a.b", 4, "c")


def test_rate_limited_and_unavailable_when_raised_then_say_when_to_come_back() -> None:
    assert RateLimited("slow down", retry_after_seconds=30).retry_after_seconds == 30
    assert Unavailable("down").retry_after_seconds == 5


@pytest.mark.parametrize(
    "error",
    [
        Invalid("bad", field="a", location=Location("f", 1), position=2, code="c"),
        TooLarge("big"),
        Conflict("c"),
        Unavailable("u"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_when_sent_to_another_process_then_arrives_with_its_message(error: CatalogError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert (arrived.message, arrived.field) == (error.message, error.field)
