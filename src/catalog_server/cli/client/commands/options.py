"""Parameters and columns that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from catalog_server.cli.client.failures import Failure, Usage
from catalog_server.cli.client.protocol import entries_of
from catalog_server.cli.client.session import Session, page_query
from catalog_server.cli.client.tables import Column, Table
from catalog_server.cli.client.views import View

F = TypeVar("F", bound=Callable[..., Any])
MAX_PAGE_SIZE: Final = 1000
_OTHER_KEYS: Final = ("items", "results", "data")


def complete_plugins(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the server's plugins."""
    session: Session = ctx.find_root().obj
    try:
        plugins = session.discovery.seen() or session.quick().discovery.plugins()
    except Failure:
        return []
    return [CompletionItem(one.name, help=one.display_name) for one in plugins if one.name.startswith(incomplete)]


def plugin_option(*, required: bool = False, help: str = "Name of the plugin.") -> Callable[[F], F]:
    return click.option("--plugin", "-p", metavar="NAME", required=required, help=help, shell_complete=complete_plugins)


def api_version_option(command: F) -> F:
    """Old scripts name the version; it has to be the one that the plugin has."""
    return click.option("--api-version", hidden=True, default="", help="Version of the plugin's API.")(command)


def check_api_version(base_path: str, wanted: str) -> None:
    """Raises Usage where the plugin serves another version."""
    served = base_path.rpartition("/")[2]
    if wanted not in ("", served):
        raise Usage(f"--api-version: the plugin serves {served}, not {wanted}")


def page_options(command: F) -> F:
    """How much of a list."""
    for option in reversed(
        (
            click.option(
                "--limit", type=click.IntRange(1), metavar="N", help="At most so many, from as many pages as it takes."
            ),
            click.option("--all", "wants_all", is_flag=True, help="All pages."),
            click.option("--page-size", type=click.IntRange(1, MAX_PAGE_SIZE), metavar="N", help="Entries per page."),
            click.option("--next-page-token", "--page-token", "token", metavar="TOKEN", help="Start at this page."),
        )
    ):
        command = option(command)
    return command


class Listing:
    """What a list command shows: one page, several or all, as one document.

    `key`: the name of the list in the server's answer, where it is none of the usual ones.
    """

    def __init__(self, key: str, pages: Iterable[Any], limit: int | None, *, wants_all: bool) -> None:
        entries: list[Any] = []
        last: dict[str, Any] = {}
        for page in pages:
            last = page
            entries += entries_of(page, key, *_OTHER_KEYS)
            if (limit is not None and len(entries) >= limit) or (limit is None and not wants_all):
                break
        self.entries = list(islice(entries, limit))
        self.token = str(last.get("nextPageToken") or "") if len(self.entries) == len(entries) else ""
        self.is_cut = len(self.entries) < len(entries)
        self._key = next((name for name in (key, *_OTHER_KEYS) if name in last), key)
        self._last = last

    @property
    def document(self) -> dict[str, Any]:
        """The answer of the last page, with the entries of all."""
        found = {**self._last, self._key: self.entries}
        if "size" in found:
            found["size"] = len(self.entries)
        if "nextPageToken" in found:
            found["nextPageToken"] = self.token
        return found

    @property
    def notes(self) -> Sequence[str]:
        if self.token:
            return [f"There are more: --all, or --next-page-token {self.token}"]
        return ["There are more."] if self.is_cut else []


def fetch_list(
    session: Session,
    path: str,
    query: Iterable[tuple[str, str | None]],
    key: str,
    paging: dict[str, Any],
    largest: int = 100,
) -> Listing:
    """A list, as the `page_options` in `paging` ask for it. Parameters without a value are left out.

    `largest`: the most entries that the server gives in one page.
    """
    wanted = [(name, value) for name, value in query if value]
    size = paging["page_size"]
    if size is None and (paging["wants_all"] or paging["limit"]):
        size = min(paging["limit"] or largest, largest)
    if size is not None:
        wanted.append(("pageSize", str(size)))
    if paging["token"]:
        wanted += page_query(paging["token"])
    return Listing(key, session.pages(path, wanted), paging["limit"], wants_all=paging["wants_all"])


def page_view(found: Listing, columns: Sequence[Column], empty: str, name: str = "id") -> View:
    """A list as a table. `name`: the key of each entry that `-o name` prints."""
    names = [str(entry[name]) for entry in found.entries]
    return View(found.document, [Table(columns, found.entries, empty)], names, found.entries, found.notes)
