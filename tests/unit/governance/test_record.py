"""The sections of a governance record: what is accepted, how it is stored and shown (spec platform.md 9.2)."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from catalog_server.db.tables import asset_governance
from catalog_server.errors import Invalid
from catalog_server.governance.record import SECTIONS, column_of, patch_schema, read_patch, sections_of

FULL: dict[str, Any] = {
    "owner": {"principal": "ann", "displayName": "Ann Ünal", "email": "ann@example.org"},
    "team": {"name": "platform", "id": "t-1"},
    "sla": {"tier": "gold", "responseHours": 4},
    "risk": {"level": "high", "categories": ["pii", "external"]},
    "intendedUse": {"summary": "Chat", "environments": ["dev"], "restrictions": ["no advice"]},
    "compliance": {"tags": ["gdpr"], "controls": ["c-1"]},
    "audit": {"lastReviewedAt": "2031-04-01T10:00:00Z", "reviewCadenceDays": 90},
}


def test_all_sections_come_back_as_they_were_given() -> None:
    assert sections_of(read_patch(FULL)) == FULL
    jsonschema.validate(FULL, patch_schema())


def test_each_field_has_a_column() -> None:
    columns = {column_of(section, field) for section, fields in SECTIONS.items() for field in fields}
    assert columns <= set(asset_governance.c.keys())
    assert "intended_use_environments" in columns


def test_a_section_replaces_all_of_it_and_no_other() -> None:
    columns = {**read_patch(FULL), **read_patch({"owner": {"email": "b@example.org"}})}
    assert sections_of(columns) == {**FULL, "owner": {"email": "b@example.org"}}


@pytest.mark.parametrize("given", [None, {}])
def test_an_empty_section_is_cleared_but_there_is_always_a_risk(given: Any) -> None:
    columns = {**read_patch(FULL), **read_patch({"sla": given, "risk": given})}
    shown = sections_of(columns)
    assert "sla" not in shown
    assert shown["risk"] == {"level": "medium"}


def test_an_agreement_without_a_tier_is_none() -> None:
    assert sections_of(read_patch({"sla": {"responseHours": 4}})) == {}


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"onwer": {}}, "onwer", 'did you mean "owner"?'),
        ({"lifecycle": {"state": "approved"}}, "lifecycle", "by the actions"),
        ({"owner": []}, "owner", "must be an object"),
        ({"owner": {"principle": "x"}}, "owner.principle", 'did you mean "principal"?'),
        ({"owner": {"principal": 5}}, "owner.principal", "at most 255"),
        ({"owner": {"principal": "x" * 256}}, "owner.principal", "at most 255"),
        ({"risk": {"level": "extreme"}}, "risk.level", "one of low, medium, high, critical"),
        ({"risk": {"level": ["low"]}}, "risk.level", "one of low"),
        ({"risk": {"categories": "pii"}}, "risk.categories", "a list"),
        ({"risk": {"categories": [1]}}, "risk.categories", "must be text"),
        ({"risk": {"categories": ["x"] * 65}}, "risk.categories", "at most 64"),
        ({"sla": {"tier": "platinum"}}, "sla.tier", "one of gold"),
        ({"sla": {"responseHours": 0}}, "sla.responseHours", "from 1 to"),
        ({"sla": {"responseHours": True}}, "sla.responseHours", "whole number"),
        ({"sla": {"responseHours": 1.5}}, "sla.responseHours", "whole number"),
        ({"sla": {"responseHours": 10**12}}, "sla.responseHours", "from 1 to"),
        ({"audit": {"lastReviewedAt": "yesterday"}}, "audit.lastReviewedAt", "like 2031-04-01"),
        ({"audit": {"lastReviewedAt": "2031-02-30T00:00:00Z"}}, "audit.lastReviewedAt", "like 2031-04-01"),
        ({"audit": {"lastReviewedAt": "0001-01-01T00:00:00+14:00"}}, "audit.lastReviewedAt", "like 2031"),
        ({"audit": {"lastReviewedAt": "9999-12-31T23:59:59-14:00"}}, "audit.lastReviewedAt", "like 2031"),
        ({"audit": {"lastReviewedAt": 5}}, "audit.lastReviewedAt", "like 2031"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_patch(body)
    assert caught.value.field == field
    assert words in caught.value.reason


def test_a_time_in_another_zone_is_shown_in_utc() -> None:
    shown = sections_of(read_patch({"audit": {"lastReviewedAt": "2031-04-01t12:30:00.5+02:00"}}))
    assert shown == {"audit": {"lastReviewedAt": "2031-04-01T10:30:00Z"}}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "0219-02-26T12:46:20Z", "9999-12-31T23:59:59Z"])
def test_times_of_the_whole_calendar(moment: str) -> None:
    assert sections_of(read_patch({"audit": {"lastReviewedAt": moment}})) == {"audit": {"lastReviewedAt": moment}}


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert sections_of(read_patch({"sla": {"tier": "none", "responseHours": 4.0}}))["sla"]["responseHours"] == 4
