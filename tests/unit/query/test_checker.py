from __future__ import annotations

import difflib
from collections.abc import Mapping

import pytest

from catalog_server.errors import Invalid
from catalog_server.query.checker import All, AnyOf, Condition, Negation, Resolved, SameChild, check_filter
from catalog_server.query.fields import Field, ValueType
from catalog_server.query.nodes import Operator, Value
from catalog_server.query.parser import parse_filter

NAMES = {
    field.name: field
    for field in [
        Field("name", ValueType.STRING),
        Field("license", ValueType.STRING, fold_equality=True),
        Field("tasks", ValueType.STRING, array=True),
        Field("size", ValueType.INTEGER),
        Field("score", ValueType.NUMBER),
        Field("verified", ValueType.BOOLEAN),
        Field("odd.int_value", ValueType.STRING),
    ]
}


class DeclaredFields:
    """The names above, custom properties under `customProperties.`, artifacts and tools of any name."""

    def __init__(self, names: Mapping[str, Field]) -> None:
        self._names = names

    def resolve(self, path: tuple[str, ...], quoted: bool) -> Field | None:
        name = ".".join(path)
        if path[0] in ("artifacts", "tools") and len(path) > 1:
            return Field(name, ValueType.ANY, child=path[0])
        if quoted or (path[0] == "customProperties" and len(path) > 1):
            return Field(name, ValueType.ANY)
        return self._names.get(name)

    def suggest(self, name: str) -> str | None:
        return next(iter(difflib.get_close_matches(name, self._names, 1)), None)


def check(text: str) -> Resolved:
    node = parse_filter(text)
    assert node is not None
    return check_filter(node, DeclaredFields(NAMES))


def own(name: str, value: Value = 1, operator: Operator = Operator.EQUAL) -> Condition:
    return Condition(NAMES[name], operator, value)


def on(child: str, name: str, value: Value = 1, operator: Operator = Operator.EQUAL) -> Condition:
    return Condition(Field(f"{child}.{name}", ValueType.ANY, child=child), operator, value)


def test_check_filter_when_a_name_is_declared_then_carries_its_field_and_position() -> None:
    node = check("verified = true AND size >= 3")
    assert node == All((own("verified", True), own("size", 3, Operator.GREATER_EQUAL)))
    assert isinstance(node, All)
    assert isinstance(node.terms[1], Condition)
    assert node.terms[1].position == 20


@pytest.mark.parametrize(
    ("text", "type_", "only"),
    [
        ("customProperties.tier.string_value = 'a'", ValueType.ANY, ValueType.STRING),
        ("customProperties.tier.int_value = 1", ValueType.ANY, ValueType.INTEGER),
        ("`my-prop`.double_value > 3", ValueType.ANY, ValueType.NUMBER),
        ("customProperties.tier.bool_value = true", ValueType.ANY, ValueType.BOOLEAN),
        ("artifacts.ttft.double_value < 1.5", ValueType.ANY, ValueType.NUMBER),
        ("name.string_value = 'a'", ValueType.STRING, ValueType.STRING),
        ("customProperties.tier.int_value IS NULL", ValueType.ANY, ValueType.INTEGER),
        ("odd.int_value = 'a'", ValueType.STRING, None),
    ],
)
def test_check_filter_when_a_type_suffix_follows_then_it_fixes_the_type(
    text: str, type_: ValueType, only: ValueType | None
) -> None:
    node = check(text)
    condition = node.term if isinstance(node, SameChild) else node
    assert isinstance(condition, Condition)
    assert (condition.field.type, condition.only) == (type_, only)
    assert condition.field.name in text.replace("`", "")


@pytest.mark.parametrize(
    "text",
    [
        "score = 1",
        "size < 1.5",
        "tasks = 'a'",
        "tasks IN ('a', 'b')",
        "tasks LIKE 'a%'",
        "name > 'a'",
        "name IN ()",
        "verified != false",
        "verified IS NOT NULL",
        "tasks IS NULL",
        "size NOT IN (1, 2.5)",
        "customProperties.x IN (1, 'a', true)",
        "customProperties.x LIKE 'a'",
        "customProperties.x < 'a'",
        "customProperties.x.int_value < 2.5",
        "customProperties.x.double_value = 2",
    ],
)
def test_check_filter_when_types_fit_then_accepts(text: str) -> None:
    assert isinstance(check(text), Condition)


A, B = on("artifacts", "a"), on("artifacts", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("artifacts.a=1", SameChild("artifacts", A)),
        ("artifacts.a=1 AND artifacts.b=1", SameChild("artifacts", All((A, B)))),
        (
            "artifacts.a=1 AND size=1 AND artifacts.b=1",
            All((own("size"), SameChild("artifacts", All((A, B))))),
        ),
        (
            "artifacts.a=1 AND (size=1 AND (artifacts.b=1 AND score=1))",
            All((own("size"), own("score"), SameChild("artifacts", All((A, B))))),
        ),
        (
            "artifacts.a=1 AND tools.a=1 AND artifacts.b=1",
            All((SameChild("artifacts", All((A, B))), SameChild("tools", on("tools", "a")))),
        ),
        ("artifacts.a=1 OR artifacts.b=1", AnyOf((SameChild("artifacts", A), SameChild("artifacts", B)))),
        (
            "artifacts.a=1 AND (artifacts.b=1 OR size=1)",
            All((AnyOf((SameChild("artifacts", B), own("size"))), SameChild("artifacts", A))),
        ),
        ("NOT artifacts.a=1", Negation(SameChild("artifacts", A))),
        (
            "artifacts.a=1 AND NOT artifacts.b=1",
            All((Negation(SameChild("artifacts", B)), SameChild("artifacts", A))),
        ),
        ("NOT (artifacts.a=1 AND artifacts.b=1)", Negation(SameChild("artifacts", All((A, B))))),
        (
            "artifacts.a NOT LIKE 'x'",
            Negation(SameChild("artifacts", on("artifacts", "a", "x", Operator.LIKE))),
        ),
    ],
)
def test_check_filter_when_conditions_name_children_then_an_and_chain_means_the_same_child(
    text: str, expected: Resolved
) -> None:
    assert check(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "parts"),
    [
        ("name = 'a' AND licence = 'MIT'", 15, ["unknown field 'licence'", "did you mean 'license'?"]),
        ("qqqqqq = 1", 0, ["unknown field 'qqqqqq'"]),
        ("licence.string_value = 'MIT'", 0, ["unknown field 'licence'"]),
        ("string_value = 'MIT'", 0, ["unknown field 'string_value'"]),
        ("NOT (scor > 1)", 5, ["'scor'", "'score'"]),
        ("size = 1 OR scor > 1", 12, ["'scor'"]),
    ],
)
def test_check_filter_when_a_name_is_unknown_then_names_it_and_the_nearest(
    text: str, position: int, parts: list[str]
) -> None:
    error = catch(text)
    assert (error.field, error.position, error.code) == ("filterQuery", position, "filter_field")
    assert error.message.startswith(f"invalid filter query: position {position}: ")
    assert all(part in error.message for part in parts)


def test_check_filter_when_nothing_is_near_an_unknown_name_then_suggests_nothing() -> None:
    assert "did you mean" not in catch("qqqqqq = 1").message


@pytest.mark.parametrize(
    ("text", "position", "parts"),
    [
        ("size = 'a'", 7, ["'size'", "a number", "the text 'a'", "without quotes"]),
        ("score > 'a'", 8, ["'score'", "a number", "the text 'a'"]),
        ("size = true", 7, ["'size'", "true", "use a number"]),
        ("name = true", 7, ["'name'", "text", "true", "need quotes"]),
        ("name = 1.5", 7, ["'name'", "1.5", "need quotes"]),
        ("verified = 1", 11, ["'verified'", "use true or false"]),
        ("verified = 'true'", 11, ["'verified'", "without quotes"]),
        ("tasks = 1", 8, ["'tasks'", "need quotes"]),
        ("size IN (1, 'a')", 8, ["'size'", "the text 'a'"]),
        ("name NOT IN ('a', 1)", 12, ["'name'", "1"]),
        ("name < true", 7, ["'name'", "text", "true"]),
        ("verified < true", 9, ["<", "'verified'", "= or !="]),
        ("customProperties.x >= true", 19, [">=", "= or !="]),
        ("customProperties.x.bool_value > 1", 30, [">", "= or !="]),
        ("tasks < 'a'", 6, ["<", "'tasks'", "a list of values"]),
        ("size LIKE '1%'", 5, ["LIKE", "'size'", "a number, not text"]),
        ("verified ILIKE 't%'", 9, ["ILIKE", "'verified'", "not text"]),
        ("customProperties.x.int_value LIKE 'a'", 29, ["LIKE", "a number, not text"]),
        ("name LIKE 5", 10, ["'name'", "text pattern after LIKE", "5"]),
        ("customProperties.x NOT LIKE 5", 28, ["text pattern after LIKE"]),
        ("customProperties.x.int_value = 'a'", 31, ["a number", "the text 'a'"]),
        ("customProperties.x.string_value = 1", 34, ["text", "1"]),
        ("size.double_value = 1", 0, [".double_value", "'size'", "integer"]),
        ("name = 'a' AND score.int_value = 1", 15, [".int_value", "'score'", "number"]),
    ],
)
def test_check_filter_when_types_clash_then_names_field_operand_and_position(
    text: str, position: int, parts: list[str]
) -> None:
    error = catch(text)
    assert (error.field, error.position, error.code) == ("filterQuery", position, "filter_type")
    assert error.message.startswith(f"invalid filter query: position {position}: ")
    assert all(part in error.message for part in parts), error.message


def catch(text: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        check(text)
    return caught.value
