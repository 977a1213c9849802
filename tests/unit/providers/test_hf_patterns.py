"""Which models a pattern takes: the rules of spec plugins.md 3.5, and an oracle for the excluding globs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid
from catalog_server.providers.hf_patterns import (
    ModelGlobs,
    ModelPattern,
    is_model_id,
    parse_model_pattern,
    parse_organization,
    restrict,
)

FIELD = "properties.includedModels[0]"
PARTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("org/name", ModelPattern("org", "name")),
        ("name", ModelPattern("", "name")),
        ("org/*", ModelPattern("org", "", is_prefix=True)),
        ("org/prefix*", ModelPattern("org", "prefix", is_prefix=True)),
        ("  Org-1/Llama-3.1_x* ", ModelPattern("Org-1", "Llama-3.1_x", is_prefix=True)),
    ],
)
def test_known_form_then_taken(text: str, pattern: ModelPattern) -> None:
    assert parse_model_pattern(text, FIELD) == pattern
    assert pattern.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        *("*", "*/*", "*/x", "foo*", "foo*/bar", "/foo", "foo/", "", "  ", "/", "a/b/c", "a/b/*"),
        *("org/a*b", "org/a*b*", "org/**", "org/*x", "../x", "org/..", "org/.x", "a b", "org/a?b", "org/a%2fb"),
        *("org/a\nb", "örg/x", "org/" + "x" * 97),
    ],
)
def test_other_form_then_invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_model_pattern(text, FIELD)
    assert caught.value.field == FIELD
    assert "'org/prefix*'" in caught.value.message


def test_star_in_the_middle_then_the_message_says_where_it_may_stand() -> None:
    with pytest.raises(Invalid, match=r"'\*' may stand at the end only"):
        parse_model_pattern("org/a*b", FIELD)


@given(PARTS, PARTS, PARTS)
def test_prefix_then_takes_what_begins_so_whatever_the_case(organization: str, prefix: str, rest: str) -> None:
    pattern = parse_model_pattern(f"{organization}/{prefix}*", FIELD)
    assert pattern.matches(f"{organization}/{prefix}{rest}".swapcase())
    assert not pattern.matches(f"{organization}x/{prefix}{rest}")
    assert not pattern.matches(f"{organization}/-{prefix}")
    exact = parse_model_pattern(f"{organization}/{prefix}", FIELD)
    assert exact.matches(f"{organization}/{prefix}".upper())
    assert not exact.matches(f"{organization}/{prefix}{rest}")


@given(st.text(max_size=20))
def test_any_text_then_a_pattern_of_safe_parts_or_invalid(text: str) -> None:
    try:
        pattern = parse_model_pattern(text, FIELD)
    except Invalid:
        return
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)?(/?\*)?", pattern.text, re.ASCII)
    assert pattern.is_prefix or is_model_id(pattern.text)


@given(PARTS, st.sampled_from(["name", "pre*", "*"]), st.booleans())
def test_restrict_then_inside_and_twice_is_once(organization: str, name: str, is_inside: bool) -> None:
    once = restrict(f"{organization}/{name}" if is_inside else name, organization, FIELD)
    assert once == f"{organization}/{name}" == restrict(once, organization, FIELD)
    assert restrict(once, organization.swapcase(), FIELD) == once


@pytest.mark.parametrize("pattern", ["other/x", "other/*", "*/x", "/x", "acme/b/c", "../x"])
def test_restrict_another_organisation_then_invalid(pattern: str) -> None:
    with pytest.raises(Invalid, match="outside of the allowed organisation"):
        restrict(pattern, "acme", FIELD)


@pytest.mark.parametrize("text", ["", "*", "a/b", "a*", "..", "a b"])
def test_odd_organisation_then_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        parse_organization(text, "properties.allowedOrganization")


@pytest.mark.parametrize(
    ("pattern", "kept"), [("gpt2", "*gpt2"), ("org/a", "org/a"), ("org/a*", "org/a*"), ("org/*", "org/*")]
)
def test_kept_names_then_those_that_the_pattern_can_have_brought(pattern: str, kept: str) -> None:
    assert parse_model_pattern(pattern, FIELD).kept_names == kept


@given(st.lists(st.text("aB/.-*", max_size=6), max_size=3), st.text("Ab/.-", max_size=8))
def test_globs_then_as_the_oracle(globs: list[str], name: str) -> None:
    def matches(glob: str) -> bool:
        return re.fullmatch(".*".join(map(re.escape, glob.lower().split("*"))), name.lower()) is not None

    assert ModelGlobs(globs).match(name) is any(map(matches, globs))


def test_many_stars_then_ends() -> None:
    """Backtracking would take longer than a test may."""
    assert not ModelGlobs(["*a" * 90 + "*b"]).match("a" * 190)
