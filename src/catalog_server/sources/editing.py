"""Changes the sources of one tenant in the text of a sources file; all else in it stays as its authors wrote it.

For: the management API, on the bytes that a store holds. The result is read back and must be exactly the intended
configuration, or nothing is changed. Comments, order, blank lines and quotes survive outside of the fields that change.
A source is found by section, namespace and id: the same id in another namespace is another source.
Not for: judging a source (validation.py), nor for keeping the result (stores/).
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping
from typing import Any, Final

from catalog_server.errors import Invalid, NotFound
from catalog_server.schema.yaml_reader import read_document
from catalog_server.schema.yaml_rewriter import is_same, rewrite
from catalog_server.scope import DEFAULT_NAMESPACE
from catalog_server.sources.config import shown_identity
from catalog_server.sources.parser import ITEM_ALIASES, LIMITS, SOURCE_KEYS, parse_sources

CONTENT: Final = "content"
"""The property that carries inline data; it belongs into the source's own file, never into the configuration."""
_FILE: Final = "sources.yaml"
_REVISION: Final = "revision"

Model = dict[str, Any]


def put_source(data: bytes, section: str, source: Mapping[str, Any]) -> bytes:
    """`data` with the source of this `id` and `namespace` in `section`, added at the end or changed in place.

    Keys are those of the file (`includedItems`). A field that is absent or None keeps its value; `properties` is
    replaced whole, without `content`. No namespace is the default one, and that is not written. Raises Invalid.
    """
    fields = _fields(section, source)
    old = _read(data)
    sources = _sources(old, section)
    index = _index(sources, _namespace_of(fields), fields["id"])
    if _namespace_of(fields) == DEFAULT_NAMESPACE:
        fields.pop("namespace", None)  # where a file says it all the same, it stays
    if index is None:
        sources.append(fields)
    else:
        fields = {_spelled_as_in(sources[index], section, key): value for key, value in fields.items()}
        sources[index] = {**sources[index], **fields}
    return _write(data, old, _with_sources(old, section, sources))


def set_enabled(
    data: bytes, section: str, source_id: str, enabled: bool, *, namespace: str = DEFAULT_NAMESPACE
) -> bytes:
    """`data` with the source switched on or off. Raises NotFound, or Invalid."""
    old = _read(data)
    sources = _sources(old, section)
    index = _existing(sources, section, namespace, source_id)
    was_enabled = sources[index].get("enabled")
    if (was_enabled is not False) == enabled:
        return data  # an absent key means enabled, and needs no line to say so
    sources[index] = {**sources[index], "enabled": enabled}
    return _write(data, old, _with_sources(old, section, sources))


def remove_source(data: bytes, section: str, source_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> bytes:
    """`data` without the source. Comments above it stay. Raises NotFound, or Invalid."""
    old = _read(data)
    sources = _sources(old, section)
    del sources[_existing(sources, section, namespace, source_id)]
    return _write(data, old, _with_sources(old, section, sources))


def restore_sources(data: bytes, revision: bytes, namespace: str, sections: Collection[str]) -> bytes:
    """`data` with the sources of `namespace` in `sections` as `revision` has them, for a tenant's rollback.

    What was changed is changed back in its place, what was removed comes back at the end of its section, what was
    added goes. All other sources, labels and named queries stay, and so do comments, except inside of sources that
    go; those of `revision` do not come back. Raises Invalid, also when `revision` is no configuration.
    """
    model, wanted = _read(data), _read(revision, _REVISION)
    touched = [key for key in {**(model["catalogs"] or {}), **(wanted["catalogs"] or {})} if key in sections]
    # One after the other, because the rewriter writes a list anew where entries of all three sorts mingle. At first
    # one source of each section stays: with the last one the whole list goes, and comments between its entries.
    for step in (_changed_back, _brought_back, _without_added_but_one, _without_added):
        new = model
        for section in touched:
            sources = _sources(model, section)
            restored = step(sources, _sources(wanted, section), namespace)
            if not is_same(restored, sources):
                new = _with_sources(new, section, restored)
        if new is not model:
            data, model = _write(data, model, new), new
    return data


def _changed_back(sources: list[Model], wanted: list[Model], namespace: str) -> list[Model]:
    by_id = _by_id(wanted, namespace)
    return [by_id.get(one["id"], one) if _namespace_of(one) == namespace else one for one in sources]


def _brought_back(sources: list[Model], wanted: list[Model], namespace: str) -> list[Model]:
    held = _by_id(sources, namespace)
    return [*sources, *(source for source_id, source in _by_id(wanted, namespace).items() if source_id not in held)]


def _without_added_but_one(sources: list[Model], wanted: list[Model], namespace: str) -> list[Model]:
    return _without_added(sources, wanted, namespace) or sources[:1]


def _without_added(sources: list[Model], wanted: list[Model], namespace: str) -> list[Model]:
    by_id = _by_id(wanted, namespace)
    return [one for one in sources if _namespace_of(one) != namespace or one["id"] in by_id]


def _by_id(sources: list[Model], namespace: str) -> dict[str, Model]:
    return {source["id"]: source for source in sources if _namespace_of(source) == namespace}


def _read(data: bytes, file: str = _FILE) -> Model:
    """The plain values of `data`, which is a faultless sources file. Raises Invalid."""
    parse_sources(data, file=file)
    model: Model = read_document(data, file=file, limits=LIMITS).value
    return model


def _write(data: bytes, old: Model, new: Model) -> bytes:
    """Raises InvalidConfig when `new` is no configuration, Invalid when the text cannot be made to say it."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    result = mark + rewrite(data.removeprefix(mark).decode(), old, new).encode()
    try:
        found = read_document(result, file=_FILE, limits=LIMITS).value
    except Invalid as error:
        raise _cannot_edit() from error
    if not is_same(found, new):
        raise _cannot_edit()
    parse_sources(result, file=_FILE)
    return result


def _cannot_edit() -> Invalid:
    problem = "the sources file cannot be changed here, as with anchors that other parts refer to: edit it by hand"
    return Invalid(problem, code="edit_unsupported")


def _fields(section: str, source: Mapping[str, Any]) -> Model:
    """The given fields, in the order in which they are written."""
    known = (*SOURCE_KEYS, *_aliases(section).values())
    unknown = [key for key in source if key not in known]
    if unknown:
        raise Invalid(f'"{unknown[0][:80]}" is no field of a source', field=unknown[0], code="unknown_field")
    fields: Model = {key: _plain(source[key]) for key in known if source.get(key) is not None}
    if not isinstance(fields.get("id"), str):
        raise Invalid("source ID is required", field="id", code="id_required")
    if isinstance(fields.get("properties"), dict):
        fields["properties"].pop(CONTENT, None)
    return fields


def _plain(value: Any) -> Any:
    """Dicts and lists all the way down, so that values can be compared with what is read; copied on the way."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _aliases(section: str) -> dict[str, str]:
    """The other spelling of the globs in this section, for example `includedModels` for `includedItems`."""
    noun = ITEM_ALIASES.get(section)
    return {f"{which}Items": f"{which}{noun}" for which in ("included", "excluded")} if noun else {}


def _spelled_as_in(existing: Model, section: str, key: str) -> str:
    pairs = _aliases(section)
    other = pairs.get(key) or next((name for name, alias in pairs.items() if alias == key), None)
    return other if other is not None and existing.get(other) is not None else key


def _sources(model: Model, section: str) -> list[Model]:
    found = (model["catalogs"] or {}).get(section) or {}
    return list(found.get("sources") or ())


def _with_sources(model: Model, section: str, sources: list[Model]) -> Model:
    catalogs = model["catalogs"] or {}
    return {**model, "catalogs": {**catalogs, section: {**(catalogs.get(section) or {}), "sources": sources}}}


def _namespace_of(source: Model) -> Any:
    """Text in a file that was read; whatever the client sent in what is to be written."""
    namespace = source.get("namespace")
    return DEFAULT_NAMESPACE if namespace is None else namespace


def _index(sources: list[Model], namespace: str, source_id: str) -> int | None:
    identity = (namespace, source_id)
    return next((index for index, one in enumerate(sources) if (_namespace_of(one), one["id"]) == identity), None)


def _existing(sources: list[Model], section: str, namespace: str, source_id: str) -> int:
    index = _index(sources, namespace, source_id)
    if index is None:
        shown = shown_identity(namespace, source_id)
        raise NotFound(f'there is no source {shown} in the section "{section[:80]}"')
    return index
