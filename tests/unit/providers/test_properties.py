"""Properties of sources: types, unknown keys, durations; every fault names its field and never shows a secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.properties import Properties, parse_duration, sync_interval

KNOWN = ("repoUrl", "branch", "authToken", "deep", "timeout", "path")
Read = Callable[[Properties], Any]


def fault_of(given: dict[str, Any], read: Read = lambda properties: None) -> tuple[str | None, str | None, str]:
    with pytest.raises(Invalid) as caught:
        read(Properties(given, KNOWN))
    return caught.value.field, caught.value.code, caught.value.message


def test_unknown_key_then_nearest_is_named() -> None:
    field, code, message = fault_of({"repoURL": "x"})
    assert (field, code) == ("properties.repoURL", "unknown_field")
    assert message == 'unknown property "repoURL": did you mean "repoUrl"?'


def test_key_of_the_server_then_allowed() -> None:
    Properties({"excludedModels": ["x"]}, KNOWN)


@pytest.mark.parametrize(
    ("given", "read", "code", "problem"),
    [
        ({}, lambda p: p.require_text("repoUrl", "the URL"), "property_required", "'repoUrl' is required: the URL"),
        ({"repoUrl": None}, lambda p: p.require_text("repoUrl", "x"), "property_required", "required"),
        ({"branch": 1.0}, lambda p: p.text("branch"), "property_type", "put it in quotes"),
        ({"branch": ["a"]}, lambda p: p.text("branch"), "property_type", "must be text"),
        ({"branch": "  "}, lambda p: p.text("branch"), "property_invalid", "is empty"),
        ({"branch": "a\nb"}, lambda p: p.text("branch"), "property_invalid", "control characters"),
        ({"deep": "yes"}, lambda p: p.flag("deep", True), "property_type", "must be true or false"),
        ({"path": [1]}, lambda p: p.texts("path"), "property_type", "list of text"),
        ({"timeout": "soon"}, lambda p: p.duration("timeout", timedelta(1)), "property_invalid", "duration"),
        ({"authToken": {"name": "a", "key": "b"}}, lambda p: p.secret("authToken"), "property_type", "not resolved"),
        ({"authToken": 12345}, lambda p: p.secret("authToken"), "property_type", "must be text"),
        ({"authToken": " \n"}, lambda p: p.secret("authToken"), "property_invalid", "empty secret"),
        ({"authToken": "s3cr\net"}, lambda p: p.one_line_secret("authToken"), "property_invalid", "control"),
        ({"deep": "5"}, lambda p: p.count("deep", 1, 9), "property_type", "whole number"),
        ({"deep": True}, lambda p: p.count("deep", 1, 9), "property_type", "whole number"),
        ({"deep": 10}, lambda p: p.count("deep", 1, 9), "property_invalid", "between 1 and 9"),
        ({"deep": 0}, lambda p: p.count("deep", 1, 9), "property_invalid", "between 1 and 9"),
        ({"deep": ["a"]}, lambda p: p.part("deep", ()), "property_type", "must be a map"),
        ({"authToken": "s3cr\0et"}, lambda p: p.secret("authToken"), "property_invalid", "NUL"),
    ],
)
def test_wrong_value_then_invalid(given: dict[str, Any], read: Read, code: str, problem: str) -> None:
    field, found, message = fault_of(given, read)
    assert field == f"properties.{next(iter(given), 'repoUrl')}"
    assert found == code
    assert problem in message
    assert "s3cr" not in message
    assert "12345" not in message


def test_good_values_then_given_back() -> None:
    given = {"branch": "main", "authToken": "t0ken\n", "deep": False, "path": "a", "timeout": "90s"}
    properties = Properties(given, KNOWN)
    assert properties.text("branch") == "main"
    assert properties.text("repoUrl") is None
    assert properties.has("branch")
    assert not properties.has("repoUrl")
    assert properties.one_line_secret("authToken") == "t0ken"
    assert properties.flag("deep", True) is False
    assert properties.flag("repoUrl", True) is True
    assert properties.texts("path") == ("a",)
    assert Properties({"path": ["a", "b"]}, KNOWN).texts("path") == ("a", "b")
    assert properties.duration("timeout", timedelta(1)) == timedelta(seconds=90)
    assert properties.count("repoUrl", 5, 9) == 5
    assert Properties({"deep": 7}, KNOWN).count("deep", 5, 9) == 7


def test_part_then_faults_name_the_way_to_it() -> None:
    properties = Properties({"deep": {"x": 1}}, KNOWN)
    assert properties.part("repoUrl", ()) is None
    part = properties.part("deep", ("x", "y"))
    assert part is not None
    for read, message in (
        (lambda: part.text("x"), "'deep.x' must be text; put it in quotes"),
        (lambda: part.require_text("y", "a reason"), "'deep.y' is required: a reason"),
        (lambda: properties.part("deep", ("y",)), 'unknown property "deep.x": did you mean "y"?'),
    ):
        with pytest.raises(Invalid) as caught:
            read()
        assert caught.value.message.startswith(message.partition(" did")[0])
        assert (caught.value.field or "").startswith("properties.deep.")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1h0m1s", 3601), ("0s", 0), ("720h", 720 * 3600), (" 5m ", 300)]
    + [(wrong, None) for wrong in ("", "5", "m", "1.5h", "-5m", "30m1h", "1 h", "721h", "5d", "1h30", "٣s", "9" * 30)],
)
def test_duration_then_read_or_refused(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == (None if seconds is None else timedelta(seconds=seconds))


def test_sync_interval_then_default_none_or_fault() -> None:
    assert sync_interval({"repoUrl": "x"}) == timedelta(hours=1)
    assert sync_interval({"syncInterval": "30s"}) == timedelta(seconds=30)
    assert sync_interval({"syncInterval": "0s"}) is None
    with pytest.raises(Invalid, match="'syncInterval' must be a duration") as caught:
        sync_interval({"syncInterval": "often"})
    assert caught.value.field == "properties.syncInterval"
