"""Finds the models that a source wants at one hub: each by its name, or in the lists of organisations.

A list is asked for everything that a model's own record has, so that 500 models cost five requests and not 500, which
a hub would not answer without a token. A hub that gives less in a list is asked for each model. What fails is noted and
the rest goes on; so a hub that is down for one model takes nothing else away.
Not for: readmes and the file that comes out (hf_fetch.py).
"""

from __future__ import annotations

import re
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec
import structlog

from catalog_server.providers.base import Missed
from catalog_server.providers.hf_client import Answer, HubClient, HubFailed
from catalog_server.providers.hf_models import Described, HubModel, describe_model
from catalog_server.providers.hf_patterns import ModelPattern, is_model_id
from catalog_server.providers.hf_source import HubSource

_T = TypeVar("_T")
_PAGE_SIZE: Final = 100
_MOST_PAGES: Final = 1000
_GONE: Final = 404
_UNREADABLE: Final = HubFailed("the hub's answer cannot be read", is_passing=False)
_NEXT: Final = re.compile(r"<([^<>]*)>\s*;[^<]*?\brel=\"?next\"?")
_WORDS: Final = {
    # The hub does not tell strangers which models exist, and says 401 for both.
    401: "does not exist, or is private and the token does not open it",
    403: "is not open to this token",
    404: "does not exist",
}

log = structlog.get_logger(__name__)


class ModelFinder:
    """One search. `found` is keyed by the folded name, `failures` are the reasons behind `missed`."""

    def __init__(self, client: HubClient, source: HubSource) -> None:
        self.found: dict[str, Described] = {}
        self.missed: list[Missed] = []
        self.failures: list[HubFailed] = []
        self._client = client
        self._source = source

    def find_all(self) -> None:
        for pattern in self._source.patterns:
            if self._is_full():
                break
            try:
                self._find_listed(pattern) if pattern.is_prefix else self._find_named(pattern)
            except HubFailed as error:
                self._miss(pattern.kept_names, pattern.text, error)
        if self._is_full():  # in the log only: to call the rest missed would keep models that nobody wants any more
            log.warning("limit of models reached", hub=self._source.endpoint.authority, limit=self._source.max_models)

    def _is_full(self) -> bool:
        return len(self.found) >= self._source.max_models

    def _find_named(self, pattern: ModelPattern) -> None:
        if not self._source.excluded.match(pattern.text):
            self._take(self._ask_for(pattern.text))

    def _find_listed(self, pattern: ModelPattern) -> None:
        query = {
            **{"author": pattern.organization, "limit": str(_PAGE_SIZE)},
            **({"search": pattern.name} if pattern.name else {}),
            **{"full": "true", "cardData": "true", "config": "true"},
            # By default the hub puts first what is in fashion: with a limit, each day would bring other models.
            "sort": "createdAt",
        }
        seen = set()
        for _ in range(_MOST_PAGES):
            answer = self._client.get("/api/models", query)
            records = _decode(answer, list[msgspec.Raw])
            for record in records:
                if self._is_full():
                    return
                self._take_listed(pattern, record)
            cursor = _next_cursor(answer)
            if cursor is None or not records:
                return
            if cursor in seen:
                break
            seen.add(cursor)
            query["cursor"] = cursor
        raise HubFailed("the hub's list has no end", is_passing=False)

    def _take_listed(self, pattern: ModelPattern, record: msgspec.Raw) -> None:
        model = _read_record(record)
        name = model.name if model is not None else ""
        if model is None or not is_model_id(name):
            self._miss(pattern.kept_names, pattern.text, _UNREADABLE)
            return
        # `search` finds the words anywhere in a name, so each is looked at again.
        if not pattern.matches(name) or name.casefold() in self.found or self._source.excluded.match(name):
            return
        try:
            self._take(model if model.is_complete else self._ask_for(name))
        except HubFailed as error:
            if error.status != _GONE:  # deleted since the list was made
                self._miss(name, name, error)

    def _ask_for(self, name: str) -> HubModel:
        return _decode(self._client.get(f"/api/models/{name}"), HubModel)

    def _take(self, model: HubModel) -> None:
        """The hub's own name of a model counts, which for a renamed one is not the name that was asked for."""
        name, organization = model.name, self._source.organization
        if not is_model_id(name):
            raise _UNREADABLE
        if organization is not None and name.rpartition("/")[0].casefold() != organization.casefold():
            raise HubFailed(f"is {name} now, outside of the allowed organisation", is_passing=False)
        if not self._source.excluded.match(name):
            self.found.setdefault(name.casefold(), describe_model(model))

    def _miss(self, names: str, shown: str, error: HubFailed) -> None:
        words = _WORDS.get(error.status or 0, str(error))
        self.missed.append(Missed(names, f"{shown}: {words}"))
        self.failures.append(error)


def _read_record(record: msgspec.Raw) -> HubModel | None:
    try:
        return msgspec.json.decode(record, type=HubModel)
    except msgspec.MsgspecError:
        return None


def _decode(answer: Answer, wanted: type[_T]) -> _T:
    try:
        return msgspec.json.decode(answer.body, type=wanted)
    except msgspec.MsgspecError:
        raise _UNREADABLE from None


def _next_cursor(answer: Answer) -> str | None:
    """What the next page is called; None at the end. Of the link only this is used, never its host or path."""
    link = _NEXT.search(answer.headers.get("Link", ""))
    if link is None:
        return None
    target: str = link[1]
    given = parse_qs(target.partition("?")[2]).get("cursor")
    if not given:
        raise HubFailed("the hub's link to the next page has no cursor", is_passing=False)
    return given[0]
