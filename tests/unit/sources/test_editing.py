"""Edits of single sources: what changes, and above all what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_server.errors import Invalid, NotFound
from catalog_server.schema.yaml_reader import read_document
from catalog_server.schema.yaml_rewriter import is_same
from catalog_server.sources.editing import put_source, remove_source, restore_sources, set_enabled
from catalog_server.sources.parser import parse_sources

TEXT = b"""\
# Sources of the team.
apiVersion: catalog/v1alpha1
kind: CatalogSources

catalogs:
  # the models
  models:
    sources:
      - id: one       # the first
        name: 'One'
        type: yaml

        properties: {yamlCatalogPath: a.yaml, limit: 0x10}   # flow
        includedItems: ["llama-*"]
      # the second one

      -   id: two
          name: "Two"
          type: http
          enabled: yes-no
          properties:
            url: https://host/a   # where
            limit: 70000000000
            # the end
    labels:
      - {name: Team, displayName: Team models}
  mcp:
"""
TEXT = TEXT.replace(b"yes-no", b"true")
NEW = {"id": "new", "name": "1e5", "type": "yaml", "labels": ["no"], "properties": {"yamlCatalogPath": "~"}}


TEAMS = b"""\
catalogs:
  models:
    sources:
      # of all
      - id: one   # ours
        name: Ours
        type: yaml
      # of the red team
      - {id: one, name:  Red, type: yaml, namespace: red}
      # of the blue team
      - id: one
        name: Blue   # sky
        type: yaml
        namespace: blue   # sea
"""


def test_put_when_new_then_at_the_end_of_its_section() -> None:
    block = (
        b'      - id: new\n        name: "1e5"\n        type: yaml\n        labels: ["no"]\n'
        b'        properties:\n          yamlCatalogPath: "~"\n'
    )
    assert put_source(TEXT, "models", NEW) == TEXT.replace(b"    labels:\n", block + b"    labels:\n").replace(
        b"            # the end\n" + block, block + b"            # the end\n"
    )


def test_put_when_section_is_empty_or_missing_then_it_is_made() -> None:
    block = b'    sources:\n      - id: new\n        name: "1e5"\n        type: yaml\n        labels: ["no"]\n'
    block += b'        properties:\n          yamlCatalogPath: "~"\n'
    assert put_source(TEXT, "mcp", NEW) == TEXT + block
    assert put_source(TEXT, "agents", NEW) == TEXT + b"  agents:\n" + block
    for empty in (
        b"catalogs:",
        b"catalogs: {}",
        b"catalogs: # none\n",
        b"catalogs: {models: }",
        b"catalogs: {models: {}}",
    ):
        parsed = parse_sources(put_source(empty, "models", NEW), file="x")
        assert [source.id for source in parsed.sections["models"].sources] == ["new"]


def test_put_when_existing_then_only_the_given_fields_change() -> None:
    result = put_source(
        TEXT, "models", {"id": "one", "name": "Uno", "properties": {"yamlCatalogPath": "b.yaml", "limit": 16}}
    )
    assert result == TEXT.replace(b"'One'", b"Uno").replace(b"a.yaml", b"b.yaml")
    result = put_source(TEXT, "models", {"id": "two", "enabled": False, "labels": ["A"], "type": None})
    assert result == TEXT.replace(b"enabled: true", b"enabled: false").replace(
        b"70000000000\n", b"70000000000\n          labels: [A]\n"
    )


def test_put_when_nothing_differs_then_the_same_bytes() -> None:
    assert put_source(TEXT, "models", {"id": "one", "name": "One", "includedItems": ("llama-*",)}) == TEXT


def test_put_then_content_is_never_written() -> None:
    result = put_source(TEXT, "models", {"id": "two", "properties": {"content": "x: 1", "url": "https://host/a"}})
    assert result == TEXT.replace(b"            limit: 70000000000\n", b"")
    assert b"content" not in put_source(TEXT, "mcp", {**NEW, "properties": {"content": "x"}})


def test_put_when_globs_are_spelled_otherwise_then_that_spelling_stays() -> None:
    text = TEXT.replace(b"includedItems", b"includedModels")
    result = put_source(text, "models", {"id": "one", "includedItems": ["a", "*"], "excludedItems": ["b"]})
    assert b'includedModels: [a, "*"]\n        excludedItems: [b]\n' in result


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"name": "x"}, "source ID is required"),
        ({"id": "A b", "name": "x", "type": "yaml"}, "must contain only lowercase"),
        ({"id": "one", "color": "red"}, "is no field of a source"),
        ({**NEW, "namespace": ""}, "invalid namespace ''"),
        ({**NEW, "namespace": "Team"}, "invalid namespace 'Team'"),
        ({**NEW, "namespace": ["red"]}, "must be text, not a list"),
        ({"id": "one", "namespace": 7}, "must be text, not a number"),
        ({"id": "one", "name": "x" * 300}, "256 characters"),
        ({"id": "one", "properties": {"n": float("nan")}}, "cannot be written"),
        ({"id": "one", "properties": {"n": 2**64}}, "64 bits"),
        ({"id": "one", "properties": {"n": "a\0b"}}, "cannot be changed here"),
    ],
)
def test_put_when_result_would_be_no_configuration_then_invalid(source: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        put_source(TEXT, "models", source)


def test_set_enabled_then_one_word_changes() -> None:
    assert set_enabled(TEXT, "models", "two", False) == TEXT.replace(b"enabled: true", b"enabled: false")
    assert set_enabled(TEXT, "models", "two", True) == TEXT
    assert set_enabled(TEXT, "models", "one", True) == TEXT
    assert set_enabled(TEXT, "models", "one", False) == TEXT.replace(
        b'["llama-*"]\n', b'["llama-*"]\n        enabled: false\n'
    )


def test_remove_then_its_lines_go_and_comments_around_stay() -> None:
    start, end = TEXT.index(b"      - id: one"), TEXT.index(b"      # the second one")
    assert remove_source(TEXT, "models", "one") == TEXT[:start] + TEXT[end:]
    alone = remove_source(remove_source(TEXT, "models", "one"), "models", "two")
    assert b"    sources: []\n" in alone
    assert alone.endswith(TEXT[TEXT.index(b"    labels:\n") :])


@pytest.mark.parametrize(("section", "source_id"), [("models", "new"), ("mcp", "one"), ("none", "one")])
def test_edit_when_source_is_unknown_then_not_found(section: str, source_id: str) -> None:
    with pytest.raises(NotFound):
        set_enabled(TEXT, section, source_id, False)
    with pytest.raises(NotFound):
        remove_source(TEXT, section, source_id)


def test_edit_when_id_is_of_several_namespaces_then_the_named_one() -> None:
    assert put_source(TEAMS, "models", {"id": "one", "namespace": "red", "name": "R"}) == TEAMS.replace(b" Red", b" R")
    assert put_source(TEAMS, "models", {"id": "one", "name": "O"}) == TEAMS.replace(b"Ours", b"O")
    assert set_enabled(TEAMS, "models", "one", False, namespace="blue") == TEAMS.replace(
        b"blue   # sea\n", b"blue   # sea\n        enabled: false\n"
    )
    assert set_enabled(TEAMS, "models", "one", False) == TEAMS.replace(
        b"yaml\n      # of the red", b"yaml\n        enabled: false\n      # of the red"
    )
    red = b"      - {id: one, name:  Red, type: yaml, namespace: red}\n"
    assert remove_source(TEAMS, "models", "one", namespace="red") == TEAMS.replace(red, b"")


def test_put_when_of_a_namespace_then_it_is_written_unless_it_is_the_default_one() -> None:
    green = {"id": "one", "name": "Green", "type": "yaml", "namespace": "green"}
    added = b"      - id: one\n        name: Green\n        type: yaml\n        namespace: green\n"
    assert put_source(TEAMS, "models", green) == TEAMS + added
    added = b"      - id: new\n        name: Ours\n        type: yaml\n"
    for namespace in ("default", None):
        assert put_source(TEAMS, "models", {**green, "id": "new", "name": "Ours", "namespace": namespace}) == (
            TEAMS + added
        )
    explicit = TEAMS.replace(b"Ours\n", b"Ours\n        namespace: default\n")
    for source in ({"id": "one", "namespace": "default", "name": "O"}, {"id": "one", "name": "O"}):
        assert put_source(explicit, "models", source) == explicit.replace(b"Ours", b"O")


def test_edit_when_source_is_of_another_namespace_then_not_found_and_no_word_of_it() -> None:
    with pytest.raises(NotFound) as caught:
        remove_source(TEAMS, "models", "one", namespace="green")
    assert caught.value.message == 'there is no source "one" of namespace "green" in the section "models"'
    with pytest.raises(NotFound):
        set_enabled(TEAMS, "models", "one", True, namespace="green")
    with pytest.raises(NotFound) as caught:
        remove_source(TEAMS.replace(b"# ours", b"\n        namespace: white"), "models", "one")
    assert caught.value.message == 'there is no source "one" in the section "models"'


REVISION = b"""\
catalogs:
  models:
    sources:
      - id: gone   # will be removed
        name: Gone
        type: yaml
        namespace: blue
      - {id: one, name: Azure, type: yaml, namespace: blue, labels: [old]}
      - {id: one, name: Pink, type: http, namespace: red}
      - {id: other, name: Other, type: http, namespace: red}
    labels:
      - name: Old
  mcp:
    sources:
      - {id: srv, name: Server, type: yaml, namespace: blue}
"""


def test_restore_then_the_sources_of_one_namespace_only() -> None:
    text = TEAMS.replace(
        b"      # of the red", b"      - {id: new, name: New, type: yaml, namespace: blue}\n      # of the red"
    )
    result = restore_sources(text, REVISION, "blue", ["models"])
    assert result == TEAMS.replace(b"Blue   # sky", b"Azure   # sky").replace(
        b"# sea\n",
        b"# sea\n        labels: [old]\n"
        b"      - id: gone\n        name: Gone\n        type: yaml\n        namespace: blue\n",
    )
    assert restore_sources(result, REVISION, "blue", ["models"]) == result
    back = restore_sources(result, text, "blue", ["models", "mcp"])
    assert restore_sources(back, text, "blue", ["models"]) == back
    assert back.startswith(TEAMS)


def test_restore_when_section_is_new_or_loses_all_then_made_or_emptied() -> None:
    block = b"    sources:\n      - id: srv\n        name: Server\n        type: yaml\n        namespace: blue\n"
    result = restore_sources(TEAMS, REVISION, "blue", {"mcp"})
    assert result == TEAMS + b"  mcp:\n" + block
    assert restore_sources(result, TEAMS, "blue", {"mcp"}) == TEAMS + b"  mcp:\n    sources: []\n"
    nothing = b"catalogs:\n"
    assert restore_sources(nothing, REVISION, "blue", ["mcp"]) == b"catalogs:\n  mcp:\n" + block
    for namespace, sections in (("white", ["models", "mcp"]), ("default", ["agents"]), ("blue", [])):
        assert restore_sources(TEAMS, REVISION, namespace, sections) == TEAMS


def test_restore_when_all_sources_go_then_comments_between_them_stay() -> None:
    text = b"catalogs:\n  models:\n    sources:\n"
    for name in (b"a", b"b", b"c"):
        text += b"      # above %s\n      - {id: %s, name: X, type: yaml}   # beside\n" % (name, name)
    result = restore_sources(text, b"catalogs:\n", "default", ["models"])
    assert result == b"catalogs:\n  models:\n    sources: []\n      # above a\n      # above b\n      # above c\n"


def test_restore_when_a_text_is_no_configuration_then_invalid_and_named() -> None:
    with pytest.raises(Invalid, match=r"^revision:3:"):
        restore_sources(TEAMS, b"catalogs:\n  models:\n    tipe: 1\n", "red", ["models"])
    with pytest.raises(Invalid, match=r"^sources\.yaml:3:"):
        restore_sources(b"catalogs:\n  models:\n    tipe: 1\n", TEAMS, "red", ["models"])


def test_restore_when_others_refer_to_an_anchor_in_it_then_refused() -> None:
    text = TEAMS.replace(b"name: Blue ", b"name: &sky Blue ") + b"      - {id: x, name: *sky, type: yaml}\n"
    with pytest.raises(Invalid) as caught:
        restore_sources(text, REVISION, "blue", ["models"])
    assert caught.value.code == "edit_unsupported"


def test_edit_when_line_breaks_and_mark_are_of_windows_then_they_stay() -> None:
    text = b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n")
    result = put_source(text, "mcp", NEW)
    assert result == b"\xef\xbb\xbf" + put_source(TEXT, "mcp", NEW).replace(b"\n", b"\r\n")


def test_edit_when_file_is_json_then_still_json() -> None:
    text = b'{"catalogs": {"models": {"sources": [\n  {"id": "a", "name": "A", "type": "yaml"}\n]}}}\n'
    assert set_enabled(text, "models", "a", False) == text.replace(b'"yaml"}', b'"yaml", "enabled": false}')
    result = put_source(text, "models", {"id": "b", "name": "no", "type": "yaml"})
    assert result == text.replace(b"}\n]", b'},\n  {"id": "b", "name": "no", "type": "yaml"}\n]')


def test_edit_when_others_refer_to_an_anchor_in_it_then_refused() -> None:
    text = (
        TEXT.replace(b"properties: {yaml", b"properties: &p {yaml")
        + b"    sources:\n      - {id: x, name: X, type: yaml, properties: *p}\n"
    )
    assert set_enabled(text, "mcp", "x", False) == text.replace(b"*p}", b"*p, enabled: false}")
    with pytest.raises(Invalid) as caught:
        remove_source(text, "models", "one")
    assert caught.value.code == "edit_unsupported"


def test_edit_when_file_is_broken_then_invalid() -> None:
    with pytest.raises(Invalid):
        remove_source(TEXT.replace(b"type: yaml", b"tipe: yaml"), "models", "two")


# Random files and edits against a model of plain dicts.

IDS = ("a", "b", "c", "d")
SECTIONS = ("models", "mcp")
NAMESPACES = ("default", "red")
Model = dict[str, Any]
Step = tuple[str, str, str | None, str, Model]
texts = st.sampled_from(
    ("no", "1e5", "0o7", "null", "~", "plain text", "a: b", "#c", "x # y", "é\n\t", "", "*-old", "- a")
)
leaves = st.one_of(texts, st.booleans(), st.integers(-5, 2**62), st.floats(-1e20, 1e20), st.none())
properties = st.dictionaries(
    st.sampled_from(("url", "limit", "a b", "no", "1", "content", "nested")),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
    ),
    max_size=4,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": texts.filter(lambda text: len(text) > 0),
        "type": st.sampled_from(("yaml", "http")),
        "enabled": st.booleans(),
        "labels": st.lists(texts, max_size=3),
        "properties": properties,
        "includedItems": st.lists(st.sampled_from(("*", "*-old", "llama-*", "no")), max_size=2),
    },
)
steps = st.lists(
    st.tuples(
        st.sampled_from(("put", "enable", "disable", "remove")),
        st.sampled_from(SECTIONS),
        st.sampled_from((None, *NAMESPACES)),
        st.sampled_from(IDS),
        fields,
    ),
    min_size=1,
    max_size=8,
)


class Composer:
    """Writes a file in a random layout; `comments` says to which source each belongs ("" for none)."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.comments: dict[str, str] = {}
        self._draw = draw
        self._step = draw(st.sampled_from((2, 3, 4)))
        self._dash = " " * (2 * self._step + draw(st.sampled_from((0, 2, 4))))

    def file(self) -> bytes:
        lines = [self._comment(""), "catalogs:  " + self._comment("")]
        for section in self._draw(st.sampled_from(((), ("models",), ("models", "mcp"), ("mcp", "policies")))):
            lines.append(" " * self._step + f"{section}: " + self._comment(""))
            names = self._draw(st.sampled_from(((), ("a",), ("a", "b"), ("c", "b", "a"))))
            named = [(self._draw(st.sampled_from(NAMESPACES)), name) for name in names]
            named += [("red", "a")] if ("default", "a") in named and self._draw(st.booleans()) else []
            if named:
                lines.append(" " * 2 * self._step + "sources:  " + self._comment(""))
            for namespace, name in named:
                lines += [self._comment("", self._dash), *self._source(section, namespace, name)]
        end: str = self._draw(st.sampled_from(("", "\n", "\n\n# end\n")))
        return ("\n".join(lines) + end).encode()

    def _source(self, section: str, namespace: str, name: str) -> list[str]:
        owner, inner = f"{section}/{namespace}/{name}", self._dash + "  "
        lines = [f"{self._dash}- id: {name} " + self._comment(owner)]
        if namespace != "default" or self._draw(st.booleans()):
            lines.append(f"{inner}namespace: {namespace}  " + self._comment(owner))
        lines += [f"{inner}name: 'N'", f"{inner}type: yaml   " + self._comment(owner)]
        layout = self._draw(st.integers(0, 4))
        if layout == 1:
            lines += [f"{inner}labels: [a,  'b']"]
        elif layout == 2:
            lines += [f"{inner}labels:", f"{inner}- a", f"{inner}- 'b' " + self._comment(owner)]
        elif layout == 3:
            lines += [f"{inner}properties:", self._comment(owner, inner), f"{inner}  limit: 0x1F"]
            lines += [f"{inner}  url: |", f"{inner}    x", ""]
        elif layout == 4:
            lines += [f"{inner}properties: {{limit: 1.50, nested: [1,", f"{inner}  2]}}", f"{inner}enabled: false"]
        return lines

    def _comment(self, owner: str, indent: str = "") -> str:
        if not self._draw(st.booleans()):
            return ""
        text = f"# comment {len(self.comments)} - of: {owner or 'all'}"
        self.comments[text] = owner
        return indent + text


def identity_of(source: Model) -> tuple[str, str]:
    return source.get("namespace", "default"), source["id"]


def sources_of(model: Model, section: str) -> list[Model]:
    return ((model["catalogs"] or {}).get(section) or {}).get("sources") or []


def apply_to_model(model: Model, step: Step) -> Model | None:
    """The intended configuration; None when there is no such source."""
    action, section, namespace, source_id, given_fields = step
    identity = (namespace or "default", source_id)
    model = copy.deepcopy(model)
    catalogs = model["catalogs"] = model["catalogs"] or {}
    sources = sources_of(model, section)
    found = next((source for source in sources if identity_of(source) == identity), None)
    if action == "put":
        wanted = {key: value for key, value in copy.deepcopy(given_fields).items() if value is not None}
        wanted.get("properties", {}).pop("content", None)
        if found is None:
            found = {"id": source_id, **({} if identity[0] == "default" else {"namespace": namespace})}
            sources.append(found)
        found.update(wanted)
    elif found is None:
        return None
    elif action == "remove":
        sources.remove(found)
    elif action == "disable" or "enabled" in found:
        found["enabled"] = action == "enable"
    catalogs[section] = {**(catalogs.get(section) or {}), "sources": sources}
    return model


def edit(data: bytes, step: Step) -> bytes:
    action, section, namespace, source_id, given_fields = step
    if action == "put":
        return put_source(data, section, {**given_fields, "namespace": namespace, "id": source_id})
    if action == "remove":
        return remove_source(data, section, source_id, namespace=namespace or "default")
    return set_enabled(data, section, source_id, action == "enable", namespace=namespace or "default")


@settings(max_examples=100, deadline=None)
@given(st.data(), steps)
def test_random_edits_then_as_the_model_and_comments_of_others_stay(data: st.DataObject, edits: list[Any]) -> None:
    composer = Composer(data.draw)
    text, comments = composer.file(), composer.comments
    model = read_document(text, file="x").value
    touched: set[str] = set()
    for step in edits:
        wanted = apply_to_model(model, step)
        if wanted is None:
            with pytest.raises(NotFound):
                edit(text, step)
            continue
        text, model = edit(text, step), wanted
        touched.add(f"{step[1]}/{step[2] or 'default'}/{step[3]}")
        assert is_same(read_document(text, file="x").value, model)
        left = text.decode()
        lost = [comment for comment, owner in comments.items() if owner not in touched and comment not in left]
        assert not lost, left


@settings(max_examples=100, deadline=None)
@given(st.data(), steps, st.sampled_from(NAMESPACES), st.sets(st.sampled_from(SECTIONS)))
def test_random_restore_then_one_namespace_as_it_was_and_all_else_as_it_is(
    data: st.DataObject, edits: list[Step], namespace: str, sections: set[str]
) -> None:
    composer = Composer(data.draw)
    text, comments = composer.file(), composer.comments
    # The revision is the text before some edits, or another one, so that all three sorts of changes occur.
    revision = text if data.draw(st.booleans()) else Composer(data.draw).file()
    wanted = read_document(revision, file="x").value
    for step in edits:
        if apply_to_model(read_document(text, file="x").value, step) is not None:
            text = edit(text, step)
    before = read_document(text, file="x").value
    comments = {comment: owner for comment, owner in comments.items() if comment in text.decode()}

    result = restore_sources(text, revision, namespace, sections)

    after = read_document(result, file="x").value
    for section in (*SECTIONS, "policies"):
        for identity in {*map(identity_of, [*sources_of(before, section), *sources_of(wanted, section)])}:
            is_restored = identity[0] == namespace and section in sections
            expected = found_in(wanted if is_restored else before, section, identity)
            assert is_same(found_in(after, section, identity), expected)
        others = [identity for identity in map(identity_of, sources_of(after, section)) if identity[0] != namespace]
        assert others == [one for one in map(identity_of, sources_of(before, section)) if one[0] != namespace]
    restored = tuple(f"{section}/{namespace}/" for section in sections)
    lost = [one for one, owner in comments.items() if not owner.startswith(restored) and one not in result.decode()]
    assert not lost, result.decode()
    assert restore_sources(result, revision, namespace, sections) == result


def found_in(model: Model, section: str, identity: tuple[str, str]) -> Model | None:
    found = [source for source in sources_of(model, section) if identity_of(source) == identity]
    assert len(found) <= 1
    return found[0] if found else None
