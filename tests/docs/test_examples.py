"""Everything that the documentation shows is true: its commands are run, its files are read."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from catalog_server.catalog.registry import discover
from catalog_server.sources.parser import parse_sources
from tests.databases import SERVERS, server_database, server_dsn, services_required
from tests.docs.pages import LANGUAGES, ROOT, Block, all_pages, blocks_of
from tests.docs.shell import Shell, commands_of, is_run

# What a page calls its databases -> the kind of server that the test puts there.
DATABASES = {
    "postgres://catalog:secret@localhost:5432/catalog": "postgres",
    "mysql://catalog:secret@localhost:3306/catalog": "mysql",
}
PAGES = [page for page in all_pages() if any(True for _ in blocks_of(page))]


def _needs_databases(page: str) -> bool:
    return any(dsn in block.text for block in blocks_of(page) for dsn in DATABASES if block.language == "console")


def _has_commands(page: str) -> bool:
    consoles = (block for block in blocks_of(page) if block.language == "console")
    return any(is_run(command) for block in consoles for command, _ in commands_of(block))


def _marked(page: str) -> object:
    return pytest.param(page, marks=pytest.mark.external_service) if _needs_databases(page) else page


@pytest.mark.parametrize("page", [_marked(page) for page in PAGES if _has_commands(page)])
def test_page_when_followed_then_shows_what_it_promises(page: str, tmp_path: Path, sample_address: str) -> None:
    """A reader who types in the commands of a page, in order, sees the output that the page shows."""
    with _databases(page) as replacements:
        shell = Shell(tmp_path, sample_address, replacements)
        try:
            for block in blocks_of(page):
                if block.file is not None:
                    shell.write(block)
                elif block.language == "console":
                    shell.run(block)
        finally:
            shell.close()


@contextmanager
def _databases(page: str) -> Iterator[dict[str, str]]:
    """Fresh databases in the place of those that the page names."""
    replacements = {}
    with ExitStack() as stack:
        if _needs_databases(page):
            for shown, engine in DATABASES.items():
                server = server_dsn(engine)
                if server is None:
                    assert not services_required(), f"{SERVERS[engine]} is not set"
                    pytest.skip(f"{SERVERS[engine]} is not set; run: python tools/services.py run -- pytest")
                replacements[shown] = stack.enter_context(server_database(engine, server))
        yield replacements


@pytest.mark.parametrize("page", PAGES)
def test_block_when_read_then_is_right_for_its_language(page: str) -> None:
    """No block has a language that nobody checks, and each is right as far as can be told without running it."""
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{block.place}: language {block.language!r}; one of {LANGUAGES}"
        _CHECKS.get(block.language, _accept)(block)


def _accept(block: Block) -> None:
    pass


def _check_yaml(block: Block) -> None:
    for value in yaml.safe_load_all(block.text):
        if isinstance(value, dict) and "catalogs" in value and not block.is_wrong:
            sections = [plugin.section_key for plugin in discover()]
            parse_sources(block.text.encode(), file=block.place, known_sections=sections)


def _check_targets(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command, _ in commands_of(block):
        if command.startswith("make"):
            asked = {word for word in command.split("#")[0].split()[1:] if "=" not in word}
            assert asked <= targets, f"{block.place}: the Makefile has no target {asked - targets}"


_CHECKS: dict[str, Callable[[Block], object]] = {
    "yaml": _check_yaml,
    "python": lambda block: compile(block.text, block.place, "exec"),
    "toml": lambda block: tomllib.loads(block.text),
    "json": lambda block: json.loads(block.text),
    "console": _check_targets,
}
