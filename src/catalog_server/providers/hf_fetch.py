"""One fetch of an `hf` source from beginning to end: token, models, readmes, file, and what to say about failures.

Imported when a source is fetched, not before, and with it the hub's library. huggingface.py is the provider.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import structlog

from catalog_server.errors import CatalogError, Invalid, TooLarge, Unavailable
from catalog_server.providers.base import Fetched, FetchedFile
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.hf_client import HubClient, HubFailed, Wait
from catalog_server.providers.hf_finder import ModelFinder
from catalog_server.providers.hf_library import Hub, open_hub
from catalog_server.providers.hf_models import Described, build_document, encode_entry, with_readme
from catalog_server.providers.hf_source import HubSource
from catalog_server.providers.http_connection import Connector

README_MAX_BYTES: Final = 128 * 1024
_UNAUTHORIZED: Final = 401
_LEAST_RETRY_SECONDS: Final = 60
_SHOWN_FAILURES: Final = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HubLimits:
    """`max_bytes` is the largest file that the reader takes: models come before readmes in it."""

    max_bytes: int
    readme_max_bytes: int = README_MAX_BYTES


def fetch_models(
    source: HubSource, limits: HubLimits, *, connector: Connector, check: Callable[[], None], wait: Wait | None = None
) -> Fetched:
    """Raises Invalid or Unavailable when failures left nothing at all, and what `check` raises."""
    deadline = Deadline.after(source.timeout_seconds, check)
    client = HubClient(
        source.endpoint, source.token, connector=connector, deadline=deadline, wait=wait or Deadline.pause
    )
    with closing(client), open_hub(client) as hub:
        if source.token is not None:
            _check_token(hub, source, source.token)
        finder = ModelFinder(hub, source)
        finder.find_all()
        if finder.failures and not finder.found:
            raise _nothing(source, finder)
        models = sorted(finder.found.values(), key=lambda model: model.name)
        lines = _add_readmes(client, source, models, limits)
    return Fetched(
        (FetchedFile(f"hf:{source.endpoint.authority}", build_document(lines)),), missed=tuple(finder.missed)
    )


def _check_token(hub: Hub, source: HubSource, token: str) -> None:
    """A wrong token is told apart from models that do not exist: for both a hub says 401."""
    try:
        hub.check_token(token)
    except HubFailed as error:
        if error.status == _UNAUTHORIZED:
            problem = f"invalid credentials: {source.endpoint.authority} does not know the token"
        else:
            problem = f"the token cannot be checked at {source.endpoint.authority}: {error}"
        raise _as_error([error], problem, f"properties.{source.token_field}") from error


def _nothing(source: HubSource, finder: ModelFinder) -> CatalogError:
    shown = "; ".join(missed.reason for missed in finder.missed[:_SHOWN_FAILURES])
    more = len(finder.missed) - _SHOWN_FAILURES
    end = f"; and {more} more" if more > 0 else ""
    return _as_error(
        finder.failures, f"nothing could be fetched from {source.endpoint.authority}: {shown}{end}", "properties.url"
    )


def _as_error(failures: list[HubFailed], message: str, field: str) -> CatalogError:
    if not any(error.is_passing or error.retry_after_seconds for error in failures):
        return Invalid(message, field=field, code="hub_refused")
    wanted = max(error.retry_after_seconds for error in failures)
    return Unavailable(message, retry_after_seconds=max(wanted, _LEAST_RETRY_SECONDS), is_asked=wanted > 0)


def _add_readmes(client: HubClient, source: HubSource, models: list[Described], limits: HubLimits) -> list[bytes]:
    """The lines of the file. A readme that cannot be had or has no room any more leaves its model without one."""
    lines = [encode_entry(model.entry) for model in models]
    room = limits.max_bytes - len(build_document(lines))
    if room < 0:
        raise TooLarge(
            f"{len(lines)} models make a file of more than {limits.max_bytes} bytes: lower maxModels",
            field="properties.maxModels",
            code="content_too_large",
        )
    left_out = 0
    for number, model in enumerate(models):
        if model.readme_file is None:
            continue
        readme = _fetch_readme(client, model, limits.readme_max_bytes)
        line = lines[number] if readme is None else encode_entry(with_readme(model.entry, readme))
        growth = len(line) - len(lines[number])
        if readme is None or growth > room:
            left_out += 1
            continue
        lines[number], room = line, room - growth
    if left_out:
        log.warning("readmes left out", hub=source.endpoint.authority, count=left_out)
    return lines


def _fetch_readme(client: HubClient, model: Described, max_bytes: int) -> str | None:
    """Not by the library, which keeps whole files in a folder on disk; a readme is cut and kept nowhere."""
    try:
        answer = client.get(f"/{model.name}/raw/main/{model.readme_file}", max_bytes=max_bytes, may_cut=True)
    except HubFailed:
        return None
    return answer.body.decode("utf-8", "ignore" if answer.is_cut else "replace")
