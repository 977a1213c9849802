"""Text of one sources file to ParsedConfig, with every fault reported at its file, line and field path.

For: files, ConfigMap values and revisions; they all go through parse_sources. Strict: an unknown key or a wrong type
is an error, and all errors of a file are reported together (config.InvalidConfig).
Not for: joining several files and required fields (merge.py), the body of an apply call (validation.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from catalog_server.errors import Invalid
from catalog_server.schema.yaml_places import PathStep
from catalog_server.schema.yaml_reader import Document, Limits, nearest_key, read_document
from catalog_server.scope import check_namespace
from catalog_server.sources.config import (
    API_VERSION,
    KIND,
    LABEL_NAMESPACE,
    ConfigWarning,
    Identity,
    InvalidConfig,
    Labels,
    NamedCondition,
    NamedQueries,
    ParsedConfig,
    ParsedSection,
    ParsedSource,
    shown_identity,
)
from catalog_server.sources.globs import check_pattern

ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
ID_MAX_LENGTH: Final = 128
NAME_MAX_LENGTH: Final = 256
LIMITS: Final = Limits(max_bytes=10 * 1024 * 1024)
OPERATORS: Final = ("=", "!=", ">", "<", ">=", "<=", "LIKE", "ILIKE", "IN", "NOT IN")
LIST_OPERATORS: Final = ("IN", "NOT IN")

_TOP_KEYS: Final = ("apiVersion", "kind", "catalogs")
_SECTION_KEYS: Final = ("sources", "labels", "namedQueries")
_CONDITION_KEYS: Final = ("operator", "value")
SOURCE_KEYS: Final = (
    *("id", "name", "type", "enabled", "labels", "properties", "includedItems", "excludedItems", "namespace"),
)
# Older files name the globs after what the section holds.
ITEM_ALIASES: Final[Mapping[str, str]] = {"models": "Models", "mcp": "Servers"}

_TYPE_NAMES: Final[Mapping[type, str]] = {
    **{dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"},
    type(None): "null",
}
Path = tuple[PathStep, ...]


def parse_sources(data: bytes, *, file: str, known_sections: Collection[str] | None = None) -> ParsedConfig:
    """Read one sources file. `file` becomes the origin of its sources and the name in error locations.

    Raises Invalid or TooLarge when the text is no YAML, InvalidConfig for everything else. A section that is not in
    `known_sections` is a warning, because a file may serve a server with more plugins.
    """
    return _Parser(read_document(data, file=file, limits=LIMITS), file).config(known_sections)


def format_path(path: Path) -> str:
    """`("catalogs", "mcp", "sources", 2, "labels")` as `catalogs.mcp.sources[2].labels`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


class _Parser:
    """Walks one document and collects faults; a value that is wrong counts as not given, to find the next fault."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._errors: list[Invalid] = []
        self._warnings: list[ConfigWarning] = []

    def config(self, known_sections: Collection[str] | None) -> ParsedConfig:
        top = self._mapping((), self._document.value, _TOP_KEYS)
        api_version = self._expected(("apiVersion",), top.get("apiVersion"), API_VERSION)
        kind = self._expected(("kind",), top.get("kind"), KIND)
        if "catalogs" not in top and not self._errors:
            # A truncated file must not be read as "no sources": that would delete what they loaded.
            self._fail(("catalogs",), "the key is missing")
        catalogs = self._mapping(("catalogs",), top.get("catalogs"), None)
        sections = {key: self._section(key, value) for key, value in catalogs.items()}
        for key in sections:
            if known_sections is not None and key not in known_sections:
                self._warn(
                    ("catalogs", key), f'no plugin reads the section "{key}": {nearest_key(key, known_sections)}'
                )
        if self._errors:
            raise InvalidConfig(self._errors)
        return ParsedConfig(self._file, api_version, kind, sections, tuple(self._warnings))

    def _fail(self, path: Path, problem: str, code: str | None = None) -> None:
        name = format_path(path)
        message = f"{name or 'the file'}: {problem}"
        location = self._document.locate(path)
        self._errors.append(Invalid(message, field=name or None, location=location, code=code))

    def _warn(self, path: Path, message: str) -> None:
        self._warnings.append(ConfigWarning(message, format_path(path), self._document.locate(path)))

    def _expected(self, path: Path, value: Any, expected: str) -> str:
        given = self._text(path, value) or ""
        if given not in ("", expected):
            self._warn(path, f'"{given[:80]}" is not "{expected}"; the file is read as if it were')
        return given

    # One method per shape. None (and a wrong type, after reporting it) is "not given".

    def _typed(self, path: Path, value: Any, kind: type, hint: str = "") -> bool:
        if value is None:
            return False
        if type(value) is not kind:
            self._fail(path, f"must be {_TYPE_NAMES[kind]}, not {_TYPE_NAMES[type(value)]}{hint}", "property_type")
            return False
        return True

    def _text(self, path: Path, value: Any) -> str | None:
        hint = "" if isinstance(value, dict | list) else ": quote it"
        return value if self._typed(path, value, str, hint) else None

    def _bool(self, path: Path, value: Any) -> bool | None:
        return value if self._typed(path, value, bool) else None

    def _entries(self, path: Path, value: Any) -> list[Any] | None:
        return value if self._typed(path, value, list) else None

    def _mapping(self, path: Path, value: Any, known: Collection[str] | None) -> dict[str, Any]:
        if not path and value is None:
            self._fail(path, "is empty: expected the keys " + ", ".join(_TOP_KEYS))
        if not self._typed(path, value, dict):
            return {}
        mapping: dict[str, Any] = value
        if known is not None:
            for key in mapping:
                if key not in known:
                    problem = f'unknown key "{key[:80]}": {nearest_key(key, known)}'
                    self._fail((*path, key), problem, "unknown_field")
        return mapping

    def _texts(self, path: Path, value: Any) -> tuple[str, ...] | None:
        entries = self._entries(path, value)
        if entries is None:
            return None
        for index, entry in enumerate(entries):
            if entry is None:
                self._fail((*path, index), "must be text, not null", "property_type")
        texts = [self._text((*path, index), entry) for index, entry in enumerate(entries)]
        return tuple(text for text in texts if text is not None)

    # The parts of the file, from the outside in.

    def _section(self, key: str, value: Any) -> ParsedSection:
        path: Path = ("catalogs", key)
        given = self._mapping(path, value, _SECTION_KEYS)
        namespaces: dict[str, str] = {}
        return ParsedSection(
            key,
            tuple(self._sources((*path, "sources"), given.get("sources"), key)),
            self._labels((*path, "labels"), given.get("labels")),
            self._named_queries((*path, "namedQueries"), given.get("namedQueries"), namespaces),
            namespaces,
        )

    def _sources(self, path: Path, value: Any, section: str) -> Iterator[ParsedSource]:
        first_index: dict[Identity, int] = {}
        for index, entry in enumerate(self._entries(path, value) or ()):
            here = (*path, index)
            source = self._source(here, entry, section)
            key = source.identity
            if source.id and key in first_index:
                first = (*path, first_index[key])
                lines = f"lines {self._document.locate(first).line} and {source.location.line}"
                what = f'duplicate id {shown_identity(*key)} in section "{section}"'
                self._fail((*here, "id"), f"{what}: also {format_path(first)}, {lines}", "duplicate_id")
            first_index.setdefault(key, index)
            yield source

    def _source(self, path: Path, value: Any, section: str) -> ParsedSource:
        if value is None:
            self._fail(path, "must be a mapping, not null", "property_type")
        alias = ITEM_ALIASES.get(section)
        aliases = (f"included{alias}", f"excluded{alias}") if alias else ()
        given = self._mapping(path, value, (*SOURCE_KEYS, *aliases))
        properties = (*path, "properties")
        return ParsedSource(
            id=self._id((*path, "id"), given.get("id"), present=type(value) is dict),
            origin=self._file,
            location=self._document.locate(path),
            name=self._name((*path, "name"), given.get("name")),
            type=self._text((*path, "type"), given.get("type")),
            enabled=self._bool((*path, "enabled"), given.get("enabled")),
            labels=self._texts((*path, "labels"), given.get("labels")),
            properties=given["properties"] if self._typed(properties, given.get("properties"), dict) else None,
            included=self._globs(path, given, "included", alias),
            excluded=self._globs(path, given, "excluded", alias),
            namespace=self._namespace((*path, "namespace"), given.get("namespace")),
        )

    def _id(self, path: Path, value: Any, *, present: bool) -> str:
        source_id = self._text(path, value)
        if not source_id:
            if present and (value is None or source_id == ""):
                self._fail(path, "source ID is required", "id_required")
            return ""
        problem = id_problem(source_id)
        if problem:
            self._fail(path, problem, "id_invalid")
        return source_id

    def _name(self, path: Path, value: Any) -> str | None:
        name = self._text(path, value)
        if name is not None and len(name) > NAME_MAX_LENGTH:
            self._fail(path, f"source name must be {NAME_MAX_LENGTH} characters or fewer", "name_too_long")
        return name

    def _namespace(self, path: Path, value: Any) -> str | None:
        namespace = self._text(path, value)
        if namespace is None:
            return None
        try:
            return check_namespace(namespace)
        except Invalid as error:
            self._fail(path, error.reason)
            return None

    def _globs(self, path: Path, given: Mapping[str, Any], which: str, alias: str | None) -> tuple[str, ...] | None:
        """The patterns under `includedItems` or its alias; `which` is `included` or `excluded`."""
        keys = [key for key in (f"{which}Items", f"{which}{alias}") if given.get(key) is not None]
        if not keys:
            return None
        key = keys[0]
        for other in keys[1:]:
            self._fail((*path, other), f'"{other}" means the same as "{key}": keep one')
        patterns = self._texts((*path, key), given.get(key))
        for index, pattern in enumerate(patterns or ()):
            try:
                check_pattern(pattern, index, which)
            except Invalid as error:
                self._fail((*path, key, index), error.reason, error.code)
        return patterns

    def _labels(self, path: Path, value: Any) -> Labels | None:
        entries = self._entries(path, value)
        if entries is None:
            return None
        first_index: dict[tuple[str | None, str | None], int] = {}
        labels = []
        for index, entry in enumerate(entries):
            here = (*path, index)
            label = self._label(here, entry)
            name, namespace = label.get("name"), label.get(LABEL_NAMESPACE)
            comparable = "name" in label and all(one is None or type(one) is str for one in (name, namespace))
            identity = namespace, name
            if comparable and first_index.setdefault(identity, index) != index:
                shown = "null" if name is None else repr(name[:80])
                lines = f"lines {self._document.locate((*path, first_index[identity])).line}"
                lines += f" and {self._document.locate(here).line}"
                self._fail((*here, "name"), f"duplicate label name {shown}, on {lines}")
            labels.append(label)
        return tuple(labels)

    def _label(self, path: Path, value: Any) -> Mapping[str, str | None]:
        if value is None:
            self._fail(path, "must be a mapping, not null", "property_type")
        label = self._mapping(path, value, None)
        if type(value) is dict and "name" not in label:
            self._fail(path, 'the key "name" is missing (null describes sources without a label)')
        for key, entry in label.items():
            if entry is None and key != "name":
                self._fail((*path, key), "must be text, not null", "property_type")
            self._text((*path, key), entry)
        if isinstance(label.get(LABEL_NAMESPACE), str):
            self._namespace((*path, LABEL_NAMESPACE), label[LABEL_NAMESPACE])
        return label

    def _named_queries(self, path: Path, value: Any, namespaces: dict[str, str]) -> NamedQueries | None:
        """A key `namespace` that holds text is no condition: it says which tenant alone has the query."""
        if value is None:
            return None
        queries = dict(self._mapping(path, value, None))
        for name, fields in queries.items():
            if isinstance(fields, dict) and isinstance(fields.get("namespace"), str):
                queries[name] = {field: one for field, one in fields.items() if field != "namespace"}
                namespace = self._namespace((*path, name, "namespace"), fields["namespace"])
                if namespace is not None:
                    namespaces[name] = namespace
        return {name: self._named_query((*path, name), name, fields) for name, fields in queries.items()}

    def _named_query(self, path: Path, name: str, value: Any) -> Mapping[str, NamedCondition]:
        if not name.strip():
            self._fail(path, "the name of a named query must not be empty")
        fields = self._mapping(path, value, None)
        if value is None or value == {}:
            self._fail(path, "a named query needs at least one condition")
        conditions = {}
        for field, condition in fields.items():
            if not field.strip():
                self._fail((*path, field), "the field of a condition must not be empty")
            conditions[field] = self._condition((*path, field), condition)
        return conditions

    def _condition(self, path: Path, value: Any) -> NamedCondition:
        given = self._mapping(path, {} if value is None else value, _CONDITION_KEYS)
        if type(value) not in (dict, type(None)):
            return NamedCondition("", None)
        operator = " ".join((self._text((*path, "operator"), given.get("operator")) or "").upper().split())
        operand = given.get("value")
        if operator not in OPERATORS:
            self._fail((*path, "operator"), "the operator must be one of " + ", ".join(OPERATORS))
        elif operand is None:
            self._fail((*path, "value"), "the condition needs a value that is not null")
        else:
            self._check_operand((*path, "value"), operator, operand)
        return NamedCondition(operator, operand)

    def _check_operand(self, path: Path, operator: str, operand: Any) -> None:
        if operator in LIST_OPERATORS:
            if type(operand) is not list or not operand:
                self._fail(path, f"{operator} needs a list with at least one value", "property_type")
            elif any(entry is None or type(entry) in (dict, list) for entry in operand):
                self._fail(path, f"the list for {operator} must hold text, numbers or booleans", "property_type")
        elif type(operand) in (dict, list):
            self._fail(path, f"{operator} needs one value, not {_TYPE_NAMES[type(operand)]}", "property_type")


def id_problem(source_id: str) -> str | None:
    """What is wrong with the syntax of a source id, if anything."""
    if ID_PATTERN.fullmatch(source_id) is None:
        return (
            f"source ID {source_id[:80]!r} must contain only lowercase alphanumeric characters, '-' or '_',"
            " and start with a letter or digit"
        )
    if len(source_id) > ID_MAX_LENGTH:
        return f"source ID must be {ID_MAX_LENGTH} characters or fewer"
    return None
