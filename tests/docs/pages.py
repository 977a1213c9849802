"""The documentation as data: pages, their fenced blocks, their links.

What a block is follows from its language:

    console   commands (`$ …`) and their output; run by shell.py, see there
    yaml      a file when its first line is `# file: <path>`; else a fragment, which must at least be right YAML;
              a sources configuration must be accepted, unless a line `# wrong: <what>` at its top says otherwise
    python    a file likewise; else it must at least compile
    toml      likewise
    json      a complete JSON text
    sql text  shown only
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("console", "yaml", "python", "toml", "json", "sql", "text")
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. `text` has no fence and no indentation of the fence."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that this block is, where it says so."""
        found = _FILE.match(self.text)
        return found[1] if found else None

    @property
    def is_wrong(self) -> bool:
        """Whether it shows a mistake on purpose: its first or second line is `# wrong: …`."""
        return any(line.startswith("# wrong: ") for line in self.text.splitlines()[:2])

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def all_pages() -> list[str]:
    """Paths of all pages, from the root of the checkout."""
    top = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "catalog/README.md")
    return [*top, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> Iterator[Block]:
    text = text_of(page)
    for found in _FENCE.finditer(text):
        indent, language, inside = found.groups()
        lines = [line.removeprefix(indent) for line in inside.splitlines()]
        yield Block(page, text.count("\n", 0, found.start()) + 2, language.strip(), "\n".join([*lines, ""]))


def prose_of(page: str) -> str:
    """The page without its blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text_of(page)))


def links_of(page: str) -> list[str]:
    return _LINK.findall(prose_of(page))


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, made as the usual renderers make them."""
    titles = _HEADING.findall(_FENCE.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
