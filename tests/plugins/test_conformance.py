"""What every plugin promises: its sample loads, what it advertises works, what it is given it gives back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import catalog_server.plugins
from catalog_server.catalog.capabilities import capabilities_v1, capabilities_v2, cli_hints, ui_hints
from catalog_server.catalog.index.evaluate import evaluate
from catalog_server.catalog.links import Links
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.reader import ListQuery, Page
from catalog_server.catalog.records import ReadJob, SourceFile, read_records
from catalog_server.catalog.registry import Registry, check_plugins, discover
from catalog_server.errors import Invalid
from catalog_server.query.checker import check_filter
from catalog_server.query.parser import parse_filter
from catalog_server.schema.decode import decode_entity
from catalog_server.schema.yaml_reader import Limits, read_document
from catalog_server.scope import DEFAULT_SCOPE
from tests.factories import Shelf
from tests.plugins.conftest import SAMPLE, Sample
from tests.plugins.specimens import specimen

PLUGINS = list(discover())
DISPLAYS = {"text", "markdown", "badge", "tags", "link", "repoRef", "imageRef", "dateTime", "code", "json", "secretRef"}
COLUMN_TYPES = {"string", "integer", "number", "boolean", "array", "date", "object"}
FILTER_TYPES = {"text", "select", "multiselect", "boolean", "number"}
OPERATORS = {"=", "!=", ">", "<", ">=", "<=", "LIKE"}
WIDTHS = {"sm", "md", "lg"}

every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)


def entity_of(plugin: Plugin) -> dict[str, Any]:
    [entity] = capabilities_v2(plugin, {})["entities"]
    return entity


def ask(sample: Sample, plugin: Plugin, **asked: Any) -> Page:
    query = ListQuery(**{"page_size": 1000, **asked})
    return sample.reader.run(sample.reader.plan(DEFAULT_SCOPE, plugin, query))


def documents(page: Page) -> list[dict[str, Any]]:
    return [json.loads(bytes(document)) for document in page.documents]


def under(value: Any, path: list[str]) -> Iterator[Any]:
    """All values under a JSON path; lists are opened."""
    if isinstance(value, list):
        for one in value:
            yield from under(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from under(value[path[0]], path[1:])


# --- the sample ------------------------------------------------------------------------------------------------------


def test_sample_when_loaded_then_no_source_has_an_error_or_a_warning(sample: Sample) -> None:
    assert sample.warnings == []
    found = {
        key: (one.state, one.last_error, one.problems)
        for key, one in sample.statuses.items()
        if one.state != "disabled"
    }
    assert found == {key: ("available", None, ()) for key in found}
    assert {name for name, _ in found} >= {plugin.name for plugin in PLUGINS}


@every_plugin
def test_sample_file_when_read_then_has_no_error_or_warning(plugin: Plugin) -> None:
    files = sorted((SAMPLE.parents[1] / "plugins" / plugin.name / "data").glob("*.yaml"))
    assert files
    for file in files:
        job = ReadJob("s", (SourceFile(file.name, file.read_bytes()),), (), (), {}, 1 << 24)
        batch = read_records(plugin.kind, job)
        assert (batch.problems, len(batch.items) > 0) == ([], True)


@every_plugin
def test_links_when_resolved_in_the_sample_then_all_lead_somewhere(sample: Sample, plugin: Plugin) -> None:
    assert Links(sample.registry, sample.indexes).dangling(DEFAULT_SCOPE, plugin) == []


def test_links_when_resolved_then_agents_and_skills_have_them(sample: Sample) -> None:
    links = Links(sample.registry, sample.indexes)
    kinds: set[str] = set()
    for name in ("agents", "skills"):
        plugin = sample.registry.plugins[name]
        for document in documents(ask(sample, plugin)):
            kinds |= {link["kind"] for link in links.describe(DEFAULT_SCOPE, plugin, document["name"])["links"]}
    others = {"McpServer", "KnowledgeSource", "Guardrail", "Policy", "PromptTemplate", "Skill", "Agent", "CatalogModel"}
    assert kinds == others


# --- what is advertised works ----------------------------------------------------------------------------------------


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'" if isinstance(value, str) else repr(value)


@every_plugin
def test_filter_field_when_used_with_each_operator_then_answers(sample: Sample, plugin: Plugin) -> None:
    everything = documents(ask(sample, plugin))
    paths = {field.name: field.path for field in plugin.kind.fields}
    for field in entity_of(plugin)["fields"]["filterFields"]:
        name = field["name"]
        default = {"boolean": True, "number": 0}.get(field["type"], "test")
        path = paths.get(name, name).split(".")
        holding = [(one["name"], value) for one in everything for value in under(one, path)]
        for operator in field["operators"]:
            ask(sample, plugin, filter=f"{name} {operator} {literal(default)}")
        for holder, value in holding[:3]:
            found = ask(sample, plugin, filter=f"{name} = {literal(value)}")
            assert holder in {one["name"] for one in documents(found)}, (name, value)
            others = ask(sample, plugin, filter=f"NOT {name} = {literal(value)}")
            assert found.total + others.total == len(everything)
            if "LIKE" in field["operators"]:
                assert ask(sample, plugin, filter=f"{name} LIKE {literal(f'%{value[:3]}%')}").total > 0
        assert holding or field["type"] == "select", f"no sample has {name}"


@every_plugin
def test_select_options_when_compared_with_the_sample_then_hold_its_values(sample: Sample, plugin: Plugin) -> None:
    fields = {field.name: field for field in plugin.kind.fields}
    for advertised in entity_of(plugin)["fields"]["filterFields"]:
        declared = fields.get(advertised["name"])
        assert ("options" in advertised) == (advertised["type"] == "select")
        if declared is None or not declared.mark.options or declared.mark.others == "accepted":
            continue
        values = {value for one in documents(ask(sample, plugin)) for value in under(one, declared.path.split("."))}
        assert values <= set(advertised["options"])


@every_plugin
def test_sortable_column_when_ordered_by_then_answers_both_ways(sample: Sample, plugin: Plugin) -> None:
    total = ask(sample, plugin).total
    columns = [column["name"] for column in entity_of(plugin)["fields"]["columns"] if column["sortable"]]
    assert "name" in columns
    for name in [*columns, "NAME", "ID", "CREATE_TIME", "LAST_UPDATE_TIME", cli_hints(plugin)["sortField"]]:
        plan = sample.reader.plan(DEFAULT_SCOPE, plugin, ListQuery(1000, order_by=name))
        assert plan.order_name != "name" or name.lower() == "name", f"{name} fell back to the name"
        ascending = [one["name"] for one in documents(ask(sample, plugin, order_by=name))]
        descending = [one["name"] for one in documents(ask(sample, plugin, order_by=name, descending=True))]
        assert len(ascending) == total
        assert sorted(ascending) == sorted(descending)
        if name == "name":
            assert ascending == descending[::-1]


@every_plugin
def test_pages_when_of_one_entity_then_show_each_once(sample: Sample, plugin: Plugin) -> None:
    found, token = [], ""
    while True:
        page = ask(sample, plugin, page_size=1, token=token)
        found += [(one["name"], one.get("sourceId", one.get("source_id"))) for one in documents(page)]
        token = page.next_token
        if not token:
            break
    assert len(found) == len(set(found)) == ask(sample, plugin).total


@every_plugin
def test_search_when_asked_for_a_name_then_finds_it(sample: Sample, plugin: Plugin) -> None:
    for one in documents(ask(sample, plugin))[:5]:
        assert one["name"] in [found["name"] for found in documents(ask(sample, plugin, q=one["name"].upper()))]


@every_plugin
def test_entity_when_asked_for_by_name_then_is_itself_with_its_source(sample: Sample, plugin: Plugin) -> None:
    for one in documents(ask(sample, plugin))[:5]:
        found = json.loads(bytes(sample.reader.get(DEFAULT_SCOPE, plugin, one["name"])))
        assert found["name"] == one["name"]
        assert (plugin.name, found[plugin.kind.source_field]) in sample.statuses


# --- what is given comes back ----------------------------------------------------------------------------------------


@every_plugin
def test_field_when_given_then_stands_in_the_json(plugin: Plugin) -> None:
    raw = specimen(plugin.kind)
    record = decode_entity(plugin.kind, raw, "s1")
    document = json.loads(record.document)
    children = {child.collection for child in plugin.kind.children if not child.inline}
    derived = {"customProperties", *children}
    for key in ("createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"):
        derived |= {key} if plugin.kind.serves_id else set()
    derived |= {"model": {"licenseId"}, "mcp": {"toolCount"}}.get(plugin.name, set())
    assert {key: document[key] for key in raw if key not in derived} == {
        k: v for k, v in raw.items() if k not in derived
    }
    assert document[plugin.kind.source_field] == "s1"
    if plugin.kind.serves_id:
        assert record.times == (1735689600000, 1735689600000)
    whole = {"metadataType": "MetadataIntValue", "int_value": "3"}
    assert document["customProperties"]["whole"] == (whole if plugin.kind.custom_properties == "tagged" else 3)
    for collection in children:
        given = raw[collection]
        stored = [json.loads(child.document) for child in record.children]
        assert [one.get("uri") for one in stored] == [one.get("uri") for one in given]
        assert stored[0]["customProperties"]["whole"] == whole


@every_plugin
def test_entity_when_only_named_then_has_no_other_key(plugin: Plugin) -> None:
    required = {"deploymentMode": "local"} if plugin.name == "mcp" else {}
    document = json.loads(decode_entity(plugin.kind, {"name": "x", **required}, "s").document)
    assert document == {"name": "x", **required, plugin.kind.source_field: "s"}


@every_plugin
def test_null_when_given_then_means_not_given(plugin: Plugin) -> None:
    raw = specimen(plugin.kind)
    required = {"name", "deploymentMode"}
    emptied = {key: value if key in required else None for key, value in raw.items()}
    kept = {key: value for key, value in raw.items() if key in required}
    assert decode_entity(plugin.kind, emptied, "s") == decode_entity(plugin.kind, kept, "s")


@every_plugin
def test_key_when_misspelt_then_is_refused_with_the_one_that_was_meant(plugin: Plugin) -> None:
    raw = specimen(plugin.kind)
    for key in raw:
        if key in ("name", "customProperties"):
            continue
        wrong = f"{key}x"
        misspelt = {wrong if given == key else given: value for given, value in raw.items()}
        if key == "deploymentMode":
            misspelt["deploymentMode"] = raw[key]
        with pytest.raises(Invalid) as caught:
            decode_entity(plugin.kind, misspelt, "s")
        assert caught.value.field == wrong
        assert (
            key in {child.collection for child in plugin.kind.children}
            or f"did you mean {key!r}" in caught.value.message
        )


@every_plugin
def test_select_field_when_given_another_value_then_is_an_error_or_a_warning_as_marked(plugin: Plugin) -> None:
    for field in plugin.kind.fields:
        if not field.mark.options:
            continue
        raw = specimen(plugin.kind)
        holder = raw
        for key in field.attributes[:-1]:
            holder = holder[key]
        holder[field.attributes[-1]] = ["nonsense"] if field.array else "nonsense"
        if field.mark.others == "error":
            with pytest.raises(Invalid, match="is none of") as caught:
                decode_entity(plugin.kind, raw, "s")
            assert caught.value.field == field.path
        else:
            warned = {path for path, _ in decode_entity(plugin.kind, raw, "s").warnings}
            assert (field.path in warned) == (field.mark.others == "warning")


@every_plugin
def test_name_when_it_holds_a_slash_then_is_taken_by_models_only(plugin: Plugin) -> None:
    raw = {**specimen(plugin.kind), "name": "org/name"}
    if plugin.kind.slashes_in_names:
        assert decode_entity(plugin.kind, raw, "s").name == "org/name"
        return
    with pytest.raises(Invalid, match="'/'"):
        decode_entity(plugin.kind, raw, "s")


# --- capabilities and hints ------------------------------------------------------------------------------------------


@every_plugin
def test_capabilities_v2_when_made_then_are_complete_and_use_known_words(plugin: Plugin) -> None:
    document = capabilities_v2(plugin, {})
    assert json.loads(json.dumps(document)) == document
    assert document["schemaVersion"] == "v1"
    assert document["plugin"]["name"] == plugin.name
    assert all(document["plugin"].values())
    entity = entity_of(plugin)
    assert all(entity[key] for key in ("kind", "plural", "displayName", "description"))
    assert all(path.startswith(plugin.base_path) for path in entity["endpoints"].values())
    assert entity["fields"]["columns"]
    for column in entity["fields"]["columns"]:
        assert all(column[key] for key in ("name", "displayName", "path"))
        assert (column["type"] in COLUMN_TYPES, column["width"] in WIDTHS) == (True, True)
    for field in entity["fields"]["filterFields"]:
        assert field["name"]
        assert field["displayName"]
        assert field["type"] in FILTER_TYPES
        assert set(field["operators"]) <= OPERATORS
    for field in entity["fields"]["detailFields"]:
        assert all(field[key] for key in ("name", "displayName", "path", "section"))
        assert field["type"] in COLUMN_TYPES
    assert document["sources"]["types"] == list(plugin.source_types)
    action_ids = {action["id"] for action in document["actions"] if action["scope"] == "asset"}
    assert set(entity.get("actions", [])) <= action_ids


@every_plugin
def test_capabilities_v2_when_changed_by_a_caller_then_the_next_ones_are_as_before(plugin: Plugin) -> None:
    first = capabilities_v2(plugin, {})
    before = json.dumps(first)
    first["entities"][0]["fields"]["columns"].clear()
    first["sources"]["types"].append("x")
    assert json.dumps(capabilities_v2(plugin, {})) == before


@every_plugin
def test_ui_hints_when_made_then_name_known_fields_and_displays(plugin: Plugin) -> None:
    hints = entity_of(plugin)["uiHints"]
    names = {name for field in plugin.kind.fields for name in (field.name, field.path)}
    for column in hints["listView"]["columns"]:
        assert column["label"]
        assert (column["field"] in names, column["display"] in DISPLAYS) == (True, True)
    assert hints["listView"]["defaultSort"]["field"] in names
    assert hints["listView"]["defaultSort"]["direction"] in ("asc", "desc")
    assert [section["title"] for section in hints["detailView"]["sections"]] == hints["detailSections"]
    for section in hints["detailView"]["sections"]:
        assert section["fields"]
        for field in section["fields"]:
            assert (field["field"] in names, field["display"] in DISPLAYS) == (True, True)
    assert set(hints["search"]["searchableFields"]) <= names
    assert {"name", "description"} <= set(hints["search"]["searchableFields"])
    for facet in hints["search"]["facets"]:
        assert (facet["field"] in names, facet["display"] in DISPLAYS) == (True, True)
    assert {column["field"] for column in ui_hints(plugin)["listColumns"]} <= names
    assert set(cli_hints(plugin)["defaultColumns"]) <= {*names, plugin.kind.source_field}


@every_plugin
def test_capabilities_v1_when_made_then_say_that_only_models_have_artifacts(plugin: Plugin) -> None:
    found = capabilities_v1(plugin)
    assert found["entityKinds"] == [plugin.kind.name]
    assert found["artifacts"] is (plugin.name == "model")
    assert all(found[key] for key in ("listEntities", "getEntity", "listSources"))


def test_plugins_when_taken_together_then_names_paths_kinds_and_sections_are_unique() -> None:
    names = [plugin.name for plugin in PLUGINS]
    assert names[:8] == ["model", "mcp", "knowledge", "prompts", "agents", "guardrails", "policies", "skills"]
    for values in (
        names,
        [p.base_path for p in PLUGINS],
        [p.kind.name for p in PLUGINS],
        [p.section_key for p in PLUGINS],
    ):
        assert len(values) == len(set(values))
    for twin in (PLUGINS[0], replace(PLUGINS[0], name="other"), replace(PLUGINS[0], name="other", section="other")):
        with pytest.raises(Invalid, match="is taken by plugin 'model'"):
            Registry([*PLUGINS, twin])
    with pytest.raises(Invalid, match="lower-case"):
        check_plugins([replace(PLUGINS[0], name="Model")])


# --- each folder explains itself -------------------------------------------------------------------------------------


@every_plugin
def test_readme_when_read_then_its_example_loads_and_its_address_is_right(plugin: Plugin) -> None:
    folder = next(Path(path) / plugin.name for path in catalog_server.plugins.__path__)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{plugin.base_path}/{plugin.kind.plural}" in text
    assert f"`{plugin.section_key}`" in text
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    job = ReadJob("s", (SourceFile("README.md", example.encode()),), (), (), {}, 1 << 20)
    batch = read_records(plugin.kind, job)
    assert (len(batch.items), batch.problems) == (1, [])
    assert set(read_document(example.encode(), file="README.md", limits=Limits()).value) <= plugin.kind.file_keys
    shelf = Shelf(plugin)
    shelf.put(read_document(example.encode(), file="README.md", limits=Limits()).value[plugin.kind.plural][0], "s")
    for filter_ in re.findall(r'filterQuery=(.*?)"', text):
        index = shelf.index()
        node = parse_filter(filter_)
        assert node is not None
        assert len(evaluate(check_filter(node, index.names), index)) == 1
