"""The base of all entities: wire names, what is left out, and what is kept."""

from __future__ import annotations

import json

import msgspec
import pytest

from catalog_server.schema.entity import TimedEntity
from tests.factories import Gadget, Safety


def encoded(**fields: object) -> object:
    return json.loads(msgspec.json.encode(Gadget(name="x", **fields)))  # type: ignore[arg-type]


def test_entity_when_encoded_then_uses_camel_case_and_leaves_out_empty_fields() -> None:
    assert encoded(external_id="e", description="", tags=[]) == {"name": "x", "externalId": "e"}


def test_zero_and_false_when_given_then_stay() -> None:
    assert encoded(weight=0, price=0.0, active=False) == {"name": "x", "weight": 0, "price": 0.0, "active": False}


def test_nested_object_when_empty_then_stays_an_object() -> None:
    assert encoded(safety=Safety()) == {"name": "x", "safety": {}}


@pytest.mark.parametrize(
    "given", [{"name": "x", "nobody": 1}, {"name": "x", "safety": {"nobody": 1}}, {"name": ""}, {}]
)
def test_entity_when_it_has_unknown_keys_or_no_name_then_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(given, Gadget)


@pytest.mark.parametrize("value", ["-1", "1.5", "", "1" * 19, "x", 5])
def test_time_when_not_digits_in_a_text_then_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "x", "createTimeSinceEpoch": value}, TimedEntity)
