"""Files of sources that are to be applied: read, never written.

A file is a sources file of the server (`catalogs: ...`), or one source with the name of its `plugin`, or a list of
these. YAML is read as the server reads it (1.2, so `no` is a text), by the same reader.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog_server.cli.client.discovery import Plugin
from catalog_server.cli.client.failures import ExitCode, Failure, Usage

SUFFIXES: Final = (".yaml", ".yml", ".json")
_STDIN: Final = "-"
_SEPARATOR: Final = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_NOT_SENT: Final = ("plugin", "namespace", "status")
_PATTERNS: Final = re.compile(r"(included|excluded)[A-Z]\w*")


@dataclass(frozen=True)
class Manifest:
    """One source as a file wants it. `fields` are those that the server takes."""

    plugin: Plugin
    fields: Mapping[str, Any]
    place: str
    namespace: str = ""

    @property
    def id(self) -> str:
        return str(self.fields["id"])

    @property
    def key(self) -> tuple[str, str]:
        return self.plugin.name, self.id

    def __str__(self) -> str:
        return f"{self.plugin.name}/{self.id}"


def read_manifests(
    paths: Sequence[str], plugins: Sequence[Plugin], default_plugin: str = "", namespace: str = ""
) -> list[Manifest]:
    """All sources of these files and folders, in the order of the files.

    Raises:
        Usage: a file cannot be read. Failure: it is no file of sources, there is none in it, or two have the same id.
    """
    found: list[Manifest] = []
    places: dict[tuple[str, str], str] = {}
    for path in paths:
        for place, document in _documents(path):
            for one in _manifests(document, place, plugins, default_plugin):
                _check_namespace(one, namespace)
                if one.key in places:
                    raise _invalid(f"{one} is in {places[one.key]} already", place)
                places[one.key] = place
                found.append(one)
    if not found:
        raise Failure(f"there is no source in {', '.join(paths)}", ExitCode.INVALID, word="invalid")
    return found


def read_text(path: str) -> str:
    """A file, or stdin where it is `-`.

    Raises:
        Usage: it cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}") from error
    except UnicodeError as error:
        raise Usage(f"{path}: not UTF-8: {error}") from error


def parse_document(text: str, place: str) -> Any:
    """One YAML or JSON document.

    Raises:
        Failure: it is none, with file and line.
    """
    from catalog_server.errors import Invalid
    from catalog_server.schema.yaml_reader import read_document

    try:
        return read_document(text.encode(), file=place).value
    except Invalid as error:
        raise Failure(error.message, ExitCode.INVALID, word="invalid") from error


def _documents(path: str) -> Iterator[tuple[str, Any]]:
    """(place, document): all of a file, or of the files of a folder in the order of their names."""
    for file in _files(path):
        text = read_text(file)
        for part in _SEPARATOR.split(text):
            document = parse_document(part, "stdin" if file == _STDIN else file)
            if document is not None:
                yield ("stdin" if file == _STDIN else file), document


def _files(path: str) -> list[str]:
    if path == _STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(str(one) for one in Path(path).iterdir() if one.suffix in SUFFIXES and one.is_file())
    if not found:
        raise Usage(f"{path}: the folder holds no file that ends in {', '.join(SUFFIXES)}")
    return found


def _manifests(document: Any, place: str, plugins: Sequence[Plugin], default: str) -> Iterator[Manifest]:
    if isinstance(document, list):
        for one in document:
            yield from _manifests(one, place, plugins, default)
    elif isinstance(document, dict) and "catalogs" in document:
        yield from _of_sections(document["catalogs"], place, plugins)
    elif isinstance(document, dict) and "sources" in document:  # what `sources list -o yaml` prints
        yield from _manifests(document["sources"], place, plugins, default)
    elif isinstance(document, dict):
        yield _manifest(document, str(document.get("plugin") or default), place, plugins)
    else:
        raise _invalid("neither a source nor a file with `catalogs`", place)


def _of_sections(sections: Any, place: str, plugins: Sequence[Plugin]) -> Iterator[Manifest]:
    if not isinstance(sections, dict):
        raise _invalid("`catalogs` is no mapping from sections to their sources", place)
    for section, content in sections.items():
        listed = content.get("sources") if isinstance(content, dict) else None
        for one in listed or ():
            yield _manifest(one, str(section), place, plugins)


def _manifest(source: Any, name: str, place: str, plugins: Sequence[Plugin]) -> Manifest:
    if not isinstance(source, dict) or not isinstance(source.get("id"), str) or not source["id"]:
        raise _invalid("a source without an `id`", place)
    if not name:
        raise _invalid(f"source {source['id']!r} names no `plugin`, and --plugin was not given", place)
    # Sections are named like the plugin, or like what it holds (`models` for `model`).
    found = [one for one in plugins if name == one.name] or [
        one for one in plugins if name in [entity.plural for entity in one.entities]
    ]
    if not found:
        raise _invalid(f"source {source['id']!r}: there is no plugin {name!r}", place)
    fields = {_field_name(key): value for key, value in source.items() if key not in _NOT_SENT and value is not None}
    return Manifest(found[0], fields, place, str(source.get("namespace") or ""))


def _field_name(key: str) -> str:
    """Some sections have names of their own for the patterns (`includedModels`); the API has one."""
    found = _PATTERNS.fullmatch(key)
    return f"{found[1]}Items" if found else key


def _check_namespace(manifest: Manifest, namespace: str) -> None:
    """A source that says whose it is goes to nobody else."""
    if manifest.namespace not in ("", namespace or "default"):
        raise Usage(f"{manifest.place}: {manifest} is of another namespace; apply it with -n {manifest.namespace}")


def _invalid(message: str, place: str) -> Failure:
    return Failure(f"{place}: {message}", ExitCode.INVALID, word="invalid")
