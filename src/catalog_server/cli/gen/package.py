"""A new plugin package on disk."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from catalog_server import __version__, plugin_api
from catalog_server.catalog.plugin import Plugin
from catalog_server.catalog.registry import check_plugins, discover
from catalog_server.cli.gen import templates
from catalog_server.errors import Invalid
from catalog_server.schema.entity import Entity
from catalog_server.schema.kind import Kind

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_KIND: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,40}")
_PLURAL: Final = re.compile(r"[a-z][a-z0-9]{0,60}")
_MAX_NAME: Final = 40
_YAML_WORDS: Final = ("null", "true", "false")
_TAKEN_IN_MODULE: Final = (*plugin_api.__all__, "Annotated")


@dataclass(frozen=True)
class Names:
    """What the parts of a package are called. `name` is that of the plugin: a lower-case word, with underscores."""

    name: str
    kind: str
    plural: str

    @classmethod
    def of(cls, name: str, kind: str, plural: str | None = None) -> Names:
        """Names that are free.

        Raises:
            Invalid: a name cannot be one, or a plugin of this installation has it.
        """
        plural = f"{kind.lower()}s" if plural is None else plural
        if _NAME.fullmatch(name) is None or len(name) > _MAX_NAME or name in _YAML_WORDS:
            raise Invalid("must be lower-case words joined by - or _, at most 40 characters", field="name")
        if _KIND.fullmatch(kind) is None or keyword.iskeyword(kind):
            raise Invalid("must be a word in camel case that begins with a capital, such as Dataset", field="entity")
        if kind in _TAKEN_IN_MODULE:
            raise Invalid(f"{kind} is a name of the plugin API", field="entity")
        if _PLURAL.fullmatch(plural) is None:
            raise Invalid("must be a lower-case word", field="plural")
        names = cls(name.replace("-", "_"), kind, plural)
        check_plugins([*discover(), names._plugin()])
        return names

    @property
    def noun(self) -> str:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.kind).lower()

    def _plugin(self) -> Plugin:
        kind = Kind(self.kind, self.plural, Entity, self.kind, self.noun)
        return Plugin(name=self.name, display_name=self.kind, description="", icon="", kind=kind)


def write_package(folder: Path, names: Names) -> list[Path]:
    """Write all files of a package; return them.

    Raises:
        Invalid: the folder has something in it: nothing is ever overwritten.
        OSError: a file cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"{folder} is there already, and not empty", field="output")
    files = _render(names)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return [folder / path for path in files]


def _render(names: Names) -> dict[str, str]:
    values = {
        "name": names.name,
        "kind": names.kind,
        "module": f"catalog_{names.name}",
        "distribution": f"catalog-{names.name.replace('_', '-')}",
        "plural": names.plural,
        "noun": names.noun,
        "display": names.name.replace("_", " ").title(),
        "description": f"The {names.noun} entities of the organisation",
        "server": __version__,
    }
    texts = {
        "pyproject.toml": templates.PYPROJECT,
        "plugin.yaml": templates.MANIFEST,
        f"{values['module']}.py": templates.MODULE,
        "tests/test_conformance.py": templates.TEST,
        f"testdata/{names.plural}.yaml": templates.DATA,
        "testdata/sources.yaml": templates.SOURCES,
        "README.md": templates.README,
    }
    return {path: Template(text).substitute(values) for path, text in texts.items()}
