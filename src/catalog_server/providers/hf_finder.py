"""Finds the models that a source wants at one hub: each by its name, or in the lists of organisations.

A list is asked for everything that a model's own record has, so that 500 models cost five requests and not 500, which
a hub would not answer without a token. A hub that gives less in a list is asked for each model. What fails is noted and
the rest goes on; so a hub that is down for one model takes nothing else away.
Not for: readmes and the file that comes out (hf_fetch.py).
"""

from __future__ import annotations

from typing import Final

import structlog

from catalog_server.providers.base import Missed
from catalog_server.providers.hf_client import HubFailed
from catalog_server.providers.hf_library import Hub, ModelInfo, unreadable
from catalog_server.providers.hf_models import Described, describe_model, is_complete, name_of
from catalog_server.providers.hf_patterns import ModelPattern, is_model_id
from catalog_server.providers.hf_source import HubSource

_GONE: Final = 404
_WORDS: Final = {
    # The hub does not tell strangers which models exist, and says 401 for both.
    401: "does not exist, or is private and the token does not open it",
    403: "is not open to this token",
    404: "does not exist",
}

log = structlog.get_logger(__name__)


class ModelFinder:
    """One search. `found` is keyed by the folded name, `failures` are the reasons behind `missed`."""

    def __init__(self, hub: Hub, source: HubSource) -> None:
        self.found: dict[str, Described] = {}
        self.missed: list[Missed] = []
        self.failures: list[HubFailed] = []
        self._hub = hub
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
            self._take(self._hub.fetch_model(pattern.text))

    def _find_listed(self, pattern: ModelPattern) -> None:
        for model in self._hub.list_models(pattern.organization, pattern.name):
            if self._is_full():
                return
            self._take_listed(pattern, model)

    def _take_listed(self, pattern: ModelPattern, model: ModelInfo) -> None:
        name = name_of(model)
        if not is_model_id(name):
            self._miss(pattern.kept_names, pattern.text, unreadable())
            return
        # `search` finds the words anywhere in a name, so each is looked at again.
        if not pattern.matches(name) or name.casefold() in self.found or self._source.excluded.match(name):
            return
        try:
            self._take(model if is_complete(model) else self._hub.fetch_model(name))
        except HubFailed as error:
            if error.status != _GONE:  # deleted since the list was made
                self._miss(name, name, error)

    def _take(self, model: ModelInfo) -> None:
        """The hub's own name of a model counts, which for a renamed one is not the name that was asked for."""
        name, organization = name_of(model), self._source.organization
        if not is_model_id(name):
            raise unreadable()
        if organization is not None and name.rpartition("/")[0].casefold() != organization.casefold():
            raise HubFailed(f"is {name} now, outside of the allowed organisation", is_passing=False)
        if not self._source.excluded.match(name):
            self.found.setdefault(name.casefold(), describe_model(model))

    def _miss(self, names: str, shown: str, error: HubFailed) -> None:
        words = _WORDS.get(error.status or 0, str(error))
        self.missed.append(Missed(names, f"{shown}: {words}"))
        self.failures.append(error)
