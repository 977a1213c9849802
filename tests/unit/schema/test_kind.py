"""Kind: what derives from one description."""

from __future__ import annotations

from dataclasses import replace

from tests.factories import GADGETS, WIDGETS

KIND = GADGETS.kind


def test_fields_when_listed_then_leave_out_children_that_are_stored_apart() -> None:
    paths = [field.path for field in KIND.fields]
    assert "safety.riskLevel" in paths
    assert not [path for path in paths if path.startswith("parts")]


def test_names_when_asked_for_then_lead_by_path_and_alias_to_the_same_field() -> None:
    assert KIND.names["riskLevel"] is KIND.names["safety.riskLevel"]
    assert KIND.names["weight"].type == "integer"
    assert "nobody" not in KIND.names


def test_file_keys_when_listed_then_are_the_plural_and_its_other_forms() -> None:
    assert KIND.file_keys == {"gadgets"}
    assert replace(KIND, top_keys=("gad_gets",)).file_keys == {"gadgets", "gad_gets"}


def test_sections_when_listed_then_are_in_order_of_first_appearance() -> None:
    assert KIND.sections == ("Overview",)


def test_rules_when_not_given_then_are_those_of_most_kinds() -> None:
    rules = KIND.rules
    assert (rules.page_size, rules.max_page_size, rules.default_order) == (100, 1000, "NAME")
    assert (WIDGETS.kind.rules.lenient_order, rules.lenient_order) == (True, False)
