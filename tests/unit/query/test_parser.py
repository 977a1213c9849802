from __future__ import annotations

from dataclasses import dataclass
from types import UnionType

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catalog_server.errors import Invalid, TooLarge
from catalog_server.query.nodes import LIKES, And, Comparison, Node, Not, Operator, Or, Property, Scalar, Value
from catalog_server.query.parser import MAX_CHARACTERS, MAX_DEPTH, parse_filter

# Unit tests write nothing, so hypothesis keeps no database of examples.
UNSAVED = settings(database=None, deadline=None, max_examples=120)


def compare(name: str, operator: Operator, value: Value = None) -> Comparison:
    return Comparison(Property(tuple(name.split("."))), operator, value)


def equal(name: str, value: Value = 1) -> Comparison:
    return compare(name, Operator.EQUAL, value)


@pytest.mark.parametrize("text", ["", "   ", "\n\t\r", "-- nothing", " -- nothing\n "])
def test_parse_filter_when_text_is_blank_then_is_no_filter(text: str) -> None:
    assert parse_filter(text) is None


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
def test_parse_filter_when_given_each_symbol_then_keeps_it(operator: str) -> None:
    assert parse_filter(f"a{operator}1") == compare("a", Operator(operator), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <> 'x'", compare("a", Operator.NOT_EQUAL, "x")),
        ("a like 'x%'", compare("a", Operator.LIKE, "x%")),
        ("a iLike 'x%'", compare("a", Operator.ILIKE, "x%")),
        ("a in ('x', 2, true)", compare("a", Operator.IN, ("x", 2, True))),
        ("a IN ()", compare("a", Operator.IN, ())),
        ("a not in (1)", compare("a", Operator.NOT_IN, (1,))),
        ("a NOT LIKE 'x'", Not(compare("a", Operator.LIKE, "x"))),
        ("a not ilike 'x'", Not(compare("a", Operator.ILIKE, "x"))),
        ("a is null", compare("a", Operator.IS_NULL)),
        ("a IS NOT NULL", compare("a", Operator.IS_NOT_NULL)),
        ("NOT a = 1", Not(equal("a"))),
        ("not NOT a = 1", Not(Not(equal("a")))),
        ("NOT(a = 1)", Not(equal("a"))),
        ("NOT a IS NULL", Not(compare("a", Operator.IS_NULL))),
    ],
)
def test_parse_filter_when_given_each_word_operator_then_reads_it_in_any_case(text: str, expected: Node) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1 OR b=1 AND c=1", Or((equal("a"), And((equal("b"), equal("c")))))),
        ("(a=1 or b=1) and c=1", And((Or((equal("a"), equal("b"))), equal("c")))),
        ("a=1 AND b=1 AND c=1", And((equal("a"), equal("b"), equal("c")))),
        ("a=1 AND (b=1 AND c=1)", And((equal("a"), And((equal("b"), equal("c")))))),
        ("NOT a=1 AND b=1", And((Not(equal("a")), equal("b")))),
        ("NOT (a=1 OR b=1)", Not(Or((equal("a"), equal("b"))))),
        ("((a=1))", equal("a")),
        ("a=1 -- and b=1\nAND c=1 -- end", And((equal("a"), equal("c")))),
    ],
)
def test_parse_filter_when_conditions_are_joined_then_and_binds_tighter_than_or(text: str, expected: Node) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("and = 1", equal("and")),
        ("OR = 1 OR AND = 1 AND true = 1", Or((equal("OR"), And((equal("AND"), equal("true")))))),
        ("in in (1)", compare("in", Operator.IN, (1,))),
        ("like LIKE 'x'", compare("like", Operator.LIKE, "x")),
        ("is is not null", compare("is", Operator.IS_NOT_NULL)),
        ("null is null", compare("null", Operator.IS_NULL)),
        ("not = 1", equal("not")),
        ("not.x = 1", equal("not.x")),
        ("not in (1)", compare("not", Operator.IN, (1,))),
        ("not not in (1)", compare("not", Operator.NOT_IN, (1,))),
        ("not is null", compare("not", Operator.IS_NULL)),
        ("not is not null", compare("not", Operator.IS_NOT_NULL)),
        ("not like 'x'", compare("not", Operator.LIKE, "x")),
        ("not not like 'x'", Not(compare("not", Operator.LIKE, "x"))),
        ("not in = 1", Not(equal("in"))),
        ("not in in (1)", Not(compare("in", Operator.IN, (1,)))),
        ("not like = 1", Not(equal("like"))),
        ("not is = 1", Not(equal("is"))),
        ("not not = 1", Not(equal("not"))),
        ("not and = 1", Not(equal("and"))),
    ],
)
def test_parse_filter_when_a_keyword_is_a_property_name_then_the_context_decides(text: str, expected: Node) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "path", "quoted"),
    [
        ("a", ("a",), False),
        ("_a1.b_2", ("_a1", "b_2"), False),
        ("a . b", ("a", "b"), False),
        ("`my-prop`", ("my-prop",), True),
        ("`my-prop`.double_value", ("my-prop", "double_value"), True),
        ("customProperties.`a.b`", ("customProperties", "a.b"), True),
        (r"`a\`b\\c`", ("a`b\\c",), True),
    ],
)
def test_parse_filter_when_given_a_name_then_splits_its_path(text: str, path: tuple[str, ...], quoted: bool) -> None:
    assert parse_filter(f"{text} > 3") == Comparison(Property(path, quoted), Operator.GREATER, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("+5", 5),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e5", 1e5),
        ("1.5E-3", 0.0015),
        ("1e-999", 0.0),
        ("true", True),
        ("TRUE", True),
        ("True", True),
        ("false", False),
        ("'a -- b'", "a -- b"),
        ('"it\'s"', "it's"),
        (r"'it\'s'", "it's"),
        ("'\x00'", "\x00"),
        ("''", ""),
    ],
)
def test_parse_filter_when_given_a_literal_then_reads_value_and_type(text: str, expected: Value) -> None:
    node = parse_filter(f"a = {text}")
    assert isinstance(node, Comparison)
    assert node.value == expected
    assert type(node.value) is type(expected)


def test_parse_filter_when_it_succeeds_then_nodes_know_where_they_stand() -> None:
    node = parse_filter("a = 1 AND  b.c NOT IN (2)")
    assert isinstance(node, And)
    term = node.terms[1]
    assert isinstance(term, Comparison)
    assert (term.property.position, term.position, term.value_position) == (11, 15, 22)


@pytest.mark.parametrize(
    ("text", "position", "found", "hint"),
    [
        ("a = ", 4, "the end of the filter", "text values need quotes"),
        ("a = foo", 4, "'foo'", "text values need quotes"),
        ("a = null", 4, "'null'", "IS NULL"),
        ("a == 1", 3, "'='", "text values need quotes"),
        ("a = (1)", 4, "'('", "only allowed after IN"),
        ("a LIKE ('x')", 7, "'('", "only allowed after IN"),
        ("a IN ((1))", 6, "'('", "only allowed after IN"),
        ("a", 1, "the end of the filter", "the operators are"),
        ("a foo 1", 2, "'foo'", "the operators are"),
        ("a = 1 b = 2", 6, "'b'", "the operators are"),
        ("a = 1)", 5, "')'", "the operators are"),
        ("(a = 1", 6, "the end of the filter", "the operators are"),
        ("a NOT = 1", 6, "'='", "the operators are"),
        ("a IS 1", 5, "'1'", "the operators are"),
        ("a IS NOT 1", 9, "'1'", "the operators are"),
        ("a.5 = 1", 1, "'.5'", "the operators are"),
        ("a IN 1", 5, "'1'", "IN ('a', 'b')"),
        ("a IN (1 2)", 8, "'2'", "IN ('a', 'b')"),
        ("a IN (1,)", 8, "')'", "text values need quotes"),
        ("a IN (1", 7, "the end of the filter", "IN ('a', 'b')"),
        ("a = 1 AND", 9, "the end of the filter", "name = 'abc'"),
        ("a = 1 AND NOT", 13, "the end of the filter", "name = 'abc'"),
        ("= 1", 0, "'='", "name = 'abc'"),
        ("()", 1, "')'", "name = 'abc'"),
        ("'a' = 1", 0, "\"'a'\"", "name = 'abc'"),
        ("a. = 1", 3, "'='", "name = 'abc'"),
        ("`` = 1", 0, "'``'", "empty"),
        ("a = 5.", 4, "'5.'", "5.0"),
        ("a = 1.2.3", 4, "'1.2.3'", "5.0"),
        ("a = 1e", 4, "'1e'", "5.0"),
        ("a = 5AND b = 1", 4, "'5AND'", "5.0"),
        ("a = 9223372036854775808", 4, "'9223372036854775808'", "64 bits"),
        ("a = -9223372036854775809", 4, "'-9223372036854775809'", "64 bits"),
        ("a = 1e999", 4, "'1e999'", "64 bits"),
        ("a = --1", 7, "the end of the filter", "text values need quotes"),
        ("a = 'x", 4, '"\'x"', "is not closed"),
        ("a\x00 = 1", 1, "'\\x00'", "back-quotes"),
        ("a BETWEEN 1", 2, "'BETWEEN'", "the operators are"),
    ],
)
def test_parse_filter_when_text_is_wrong_then_error_names_position_token_and_hint(
    text: str, position: int, found: str, hint: str
) -> None:
    with pytest.raises(Invalid) as caught:
        parse_filter(text)
    error = caught.value
    assert error.message.startswith(f"invalid filter query syntax: position {position}: ")
    assert (error.field, error.position, error.code) == ("filterQuery", position, "filter_syntax")
    assert found in error.message
    assert hint in error.message


def test_parse_filter_when_text_is_at_the_limit_then_accepts_it_and_refuses_one_more() -> None:
    text = "a = '" + "x" * (MAX_CHARACTERS - 6) + "'"
    assert parse_filter(text) is not None
    with pytest.raises(TooLarge) as caught:
        parse_filter(text + " ")
    assert (caught.value.field, caught.value.position, caught.value.code) == ("filterQuery", 1024, "filter_syntax")
    assert "1025" in caught.value.message


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("(", ")", MAX_DEPTH), ("NOT ", "", MAX_DEPTH), ("NOT (", ")", MAX_DEPTH // 2)],
)
def test_parse_filter_when_nested_beyond_the_limit_then_is_an_error(opening: str, closing: str, levels: int) -> None:
    assert parse_filter(opening * levels + "a = 1" + closing * levels) is not None
    with pytest.raises(Invalid, match="nested too deeply") as caught:
        parse_filter(opening * (levels + 1) + "a = 1" + closing * (levels + 1))
    assert caught.value.position == len(opening) * levels


@pytest.mark.parametrize("text", ["(" * MAX_CHARACTERS, "NOT " * 256, "a = 1 AND (" * 90])
def test_parse_filter_when_nested_absurdly_then_never_overflows_the_stack(text: str) -> None:
    with pytest.raises(Invalid, match="nested too deeply"):
        parse_filter(text)


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=80)
WORD_PIECES = "a b.c `d` not NOT and or in is null like ilike 'x' 1 -1 5. 1e9"
PIECES = st.lists(
    st.one_of(st.sampled_from(WORD_PIECES.split()), st.sampled_from("=<>!(),.-'\"`\\\n\x00")), max_size=14
).map(" ".join)


@UNSAVED
@given(st.one_of(ANY_TEXT, PIECES))
def test_parse_filter_when_given_any_text_then_returns_or_raises_invalid(text: str) -> None:
    error = read_error(text)
    if error is not None:
        assert error.position is not None
        assert 0 <= error.position <= len(text)
        assert error.message.startswith(f"invalid filter query syntax: position {error.position}: ")
        error.message.encode("utf-8")


def read_error(text: str) -> Invalid | None:
    try:
        parse_filter(text)
    except Invalid as error:
        return error
    return None


WORDS = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True),
    st.sampled_from(["not", "NOT", "and", "Or", "in", "is", "null", "like", "ILIKE", "true", "false"]),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PROPERTIES = st.one_of(
    st.lists(WORDS, min_size=1, max_size=3).map(lambda path: Property(tuple(path))),
    st.lists(TEXTS.filter(bool), min_size=1, max_size=2).map(lambda path: Property(tuple(path), True)),
)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
PATTERNS = st.lists(
    st.one_of(st.sampled_from(["%", "_", r"\%", r"\_", r"\\"]), TEXTS.map(lambda text: text.replace("\\", ""))),
    max_size=4,
).map("".join)


def build_comparisons() -> st.SearchStrategy[Node]:
    plain = ["=", "!=", "<", "<=", ">", ">="]
    groups: list[tuple[list[str], st.SearchStrategy[Value]]] = [
        (plain, SCALARS),
        (["LIKE", "ILIKE"], PATTERNS),
        (["IN", "NOT IN"], st.lists(SCALARS, max_size=3).map(tuple)),
        (["IS NULL", "IS NOT NULL"], st.none()),
    ]
    return st.one_of(
        *(st.builds(Comparison, PROPERTIES, st.sampled_from(names).map(Operator), values) for names, values in groups)
    )


def build_chains(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    terms = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, terms), st.builds(Or, terms), st.builds(Not, children))


TREES = st.recursive(build_comparisons(), build_chains, max_leaves=4)


@dataclass(frozen=True)
class Style:
    """How a tree is written: nothing in here may change what is read."""

    space: str
    lower: bool

    def word(self, text: str) -> str:
        return (text.lower() if self.lower else text).replace(" ", self.space)

    def join(self, *parts: str) -> str:
        return self.space.join(parts)


STYLES = st.builds(Style, st.sampled_from([" ", "\n", "\t  ", " --'x(\n", "\u00a0"]), st.booleans())


def render_scalar(value: Scalar, *, pattern: bool = False) -> str:
    if not isinstance(value, str):
        return repr(value)
    return "'" + (value if pattern else value.replace("\\", "\\\\")).replace("'", "\\'") + "'"


def render_segment(segment: str, quoted: bool) -> str:
    return "`" + segment.replace("\\", "\\\\").replace("`", "\\`") + "`" if quoted else segment


def render_comparison(node: Comparison, style: Style) -> str:
    name = ".".join(render_segment(segment, node.property.quoted) for segment in node.property.path)
    operator = style.word(node.operator)
    if node.value is None:
        return style.join(name, operator)
    if isinstance(node.value, tuple):
        return style.join(name, operator, "(", ",".join(render_scalar(value) for value in node.value), ")")
    return style.join(name, operator, render_scalar(node.value, pattern=node.operator in LIKES))


def render(node: Node, style: Style) -> str:
    match node:
        case Comparison():
            return render_comparison(node, style)
        case Not(term):
            return style.join(style.word("NOT"), "(", render(term, style), ")")
        case And(terms):
            return render_chain("AND", terms, And | Or, style)
        case Or(terms):
            return render_chain("OR", terms, Or, style)


def render_chain(word: str, terms: tuple[Node, ...], enclosed: UnionType | type, style: Style) -> str:
    texts = [render(term, style) for term in terms]
    pieces = [
        style.join("(", text, ")") if isinstance(term, enclosed) else text
        for term, text in zip(terms, texts, strict=True)
    ]
    return style.join("", style.word(word), "").join(pieces)


@UNSAVED
@given(TREES, STYLES)
def test_parse_filter_when_given_a_rendered_tree_then_gives_the_tree_back(tree: Node, style: Style) -> None:
    text = render(tree, style)
    assume(len(text) <= MAX_CHARACTERS)
    assert parse_filter(text) == tree
