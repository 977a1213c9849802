"""Fields: what an entity class says about itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from catalog_server.schema.entity import UNSET, Entity, Flag, Integer, Nested, Number
from catalog_server.schema.fields import humanise, list_fields
from catalog_server.schema.marks import mark


class Inner(Nested):
    level: Annotated[str, mark(alias="level", options=("a", "b"))] = ""
    depth: Integer = UNSET


class Thing(Entity):
    kind_of_thing: Annotated[str, mark(label="Sort")] = ""
    choice: Literal["x", "y", ""] = ""
    count: Annotated[Integer, mark(width="sm")] = UNSET
    ratio: Number = UNSET
    on: Flag = UNSET
    words: Annotated[list[str], mark(search=True)] = []
    inner: Annotated[Inner | None, mark(section="Inside")] = None
    inners: list[Inner] = []
    free: dict[str, Any] = {}
    anything: Any = None
    either: str | int = ""
    body: Annotated[str, mark(long_text=True)] = ""


FIELDS = {field.path: field for field in list_fields(Thing)}


@pytest.mark.parametrize(
    ("path", "type_", "array"),
    [
        ("name", "string", False),
        ("externalId", "string", False),
        ("customProperties", "object", False),
        ("kindOfThing", "string", False),
        ("choice", "string", False),
        ("count", "integer", False),
        ("ratio", "number", False),
        ("on", "boolean", False),
        ("words", "string", True),
        ("inner", "object", False),
        ("inner.level", "string", False),
        ("inner.depth", "integer", False),
        ("inners", "object", True),
        ("inners.level", "string", True),
        ("free", "object", False),
        ("anything", "object", False),
        ("either", "object", False),
    ],
)
def test_field_when_listed_then_has_the_type_of_its_annotation(path: str, type_: str, array: bool) -> None:
    assert (FIELDS[path].type, FIELDS[path].array) == (type_, array)
    assert FIELDS[path].attributes == tuple(path.split("."))


def test_fields_when_listed_then_keep_the_order_of_declaration() -> None:
    assert list(FIELDS)[:4] == ["name", "externalId", "description", "customProperties"]
    assert list(FIELDS).index("inner.level") == list(FIELDS).index("inner") + 1


def test_field_when_marked_then_carries_its_mark_through_optional_types() -> None:
    assert FIELDS["count"].mark.width == "sm"
    assert FIELDS["inner"].mark.section == "Inside"
    assert FIELDS["words"].mark.search
    assert FIELDS["ratio"].mark == mark()


def test_field_when_it_has_an_alias_or_label_then_is_known_by_it() -> None:
    assert (FIELDS["inner.level"].name, FIELDS["inner.depth"].name) == ("level", "inner.depth")
    assert (FIELDS["kindOfThing"].label, FIELDS["inner.depth"].label) == ("Sort", "Depth")


def test_field_when_an_object_or_long_text_then_is_not_indexed() -> None:
    assert [path for path in ("free", "body", "inner") if FIELDS[path].indexed] == []
    assert FIELDS["body"].scalar
    assert FIELDS["count"].indexed


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("enforcementMode", "Enforcement Mode"),
        ("name", "Name"),
        ("library_name", "Library name"),
        ("top1Score", "Top1 Score"),
        ("", ""),
    ],
)
def test_name_when_humanised_then_is_words(name: str, shown: str) -> None:
    assert humanise(name) == shown
