"""A new plugin package on disk."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from catalog_server import __version__
from catalog_server.cli.gen import templates
from catalog_server.errors import Invalid

_NAME: Final = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_KIND: Final = re.compile(r"[A-Z][A-Za-z0-9]*")


def write_package(folder: Path, name: str, kind: str) -> list[Path]:
    """Write all files of a package; return them.

    Raises:
        Invalid: a name cannot be one, or the folder has something in it: nothing is ever overwritten.
    """
    if _NAME.fullmatch(name) is None or len(name) > 40:
        raise Invalid("must be lower-case words joined by - or _, at most 40 characters", field="name")
    if _KIND.fullmatch(kind) is None:
        raise Invalid("must be a word in camel case that begins with a capital, such as Dataset", field="entity")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"{folder} is there already, and not empty", field="output")
    files = _render(name.replace("-", "_"), kind)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return [folder / path for path in files]


def _render(name: str, kind: str) -> dict[str, str]:
    noun = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", kind).lower()
    display = name.replace("_", " ").title()
    values = {
        "name": name,
        "kind": kind,
        "module": f"catalog_{name}",
        "distribution": f"catalog-{name.replace('_', '-')}",
        "plural": f"{kind.lower()}s",
        "noun": noun,
        "display": display,
        "description": f"The {noun} entities of the organisation",
        "server": __version__,
    }
    texts = {
        "pyproject.toml": templates.PYPROJECT,
        "plugin.yaml": templates.MANIFEST,
        f"{values['module']}.py": templates.MODULE,
        "tests/test_conformance.py": templates.TEST,
        f"testdata/{values['plural']}.yaml": templates.DATA,
        "testdata/sources.yaml": templates.SOURCES,
        "README.md": templates.README,
    }
    return {path: Template(text).substitute(values) for path, text in texts.items()}
