"""Links lead somewhere, every page can be found, and nothing stands there that belongs elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath

import pytest

from tests.docs.pages import ROOT, all_pages, anchors_of, links_of, text_of

FORBIDDEN = {
    r"/work\b|/root\b|/home/\w+": "a path of somebody's machine",
    r"\b(pypi\.org|files\.pythonhosted\.org|docker\.io|ghcr\.io|quay\.io|registry\.npmjs\.org|proxy\.golang\.org)\b": (
        "the host of a registry"
    ),
    r"\b(TODO|FIXME|TBD|XXX)\b": "work that is not done",
}


@pytest.mark.parametrize("page", all_pages())
def test_links_when_followed_then_lead_to_files_and_headings(page: str) -> None:
    """Each relative link of a page leads to a file of the checkout, and its anchor to a heading there."""
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(PurePosixPath(page).parent / path) if path else page
        assert (ROOT / target).exists(), f"{page}: {link} leads nowhere"
        if anchor and target.endswith(".md"):
            assert anchor in anchors_of(target), f"{page}: {target} has no heading for #{anchor}"


@pytest.mark.parametrize("page", all_pages())
def test_page_when_read_then_holds_no_forbidden_words(page: str) -> None:
    """Pages speak of the project, not of a machine, a mirror or of what is left to do."""
    text = text_of(page)
    for pattern, reason in FORBIDDEN.items():
        found = re.search(pattern, text)
        assert found is None, f"{page}: {found[0]!r} is {reason}"


def test_map_when_read_then_names_every_page() -> None:
    """docs/README.md links to each page of the documentation."""
    linked = {os.path.normpath(PurePosixPath("docs") / link.partition("#")[0]) for link in links_of("docs/README.md")}
    pages = {page for page in all_pages() if page.startswith("docs/")} - {"docs/README.md"}
    assert sorted(pages - linked) == []


def test_decisions_when_listed_then_are_numbered_without_gaps() -> None:
    """Decisions are numbered from 0001 on, and each says its status."""
    names = sorted(path.name for path in (ROOT / "docs/adr").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert re.search(r"^Status: (accepted|superseded by \[\d{4}\])", text_of(f"docs/adr/{name}"), re.MULTILINE), (
            name
        )
