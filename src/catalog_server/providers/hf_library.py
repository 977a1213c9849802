"""What a hub has, asked for by the hub's own library, huggingface_hub, over connections that are ours.

The library knows how a hub is asked, how lists go on, and what a record holds. But it has one HTTP client for the whole
process, waits without limits, sleeps when a hub is busy, and goes to any host that an answer names, token included. So
that client is one whose requests are made by the HubClient of the fetch that the thread is in (hf_client.py), and an
answer reaches the library only when it is good, within the limits, and leads nowhere else
(docs/adr/0014-hub-library-over-own-connections.md).
Imported by the first fetch, not before: the library takes 8 MB. No other module imports the library, because it reads
the environment at that moment. Not for: which models are wanted (hf_finder.py).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode

from catalog_server.errors import Unavailable
from catalog_server.providers.hf_client import HubClient, HubFailed
from catalog_server.settings.hiding import hide_variables

# Endpoint, token, being offline, verbosity: all of that is said by the source, or by nobody.
with hide_variables("HF_", "HUGGING", "TRANSFORMERS_", "TQDM_"):
    import httpx2
    from huggingface_hub import HfApi, ModelCardData, ModelInfo, constants, get_session, set_client_factory
    from huggingface_hub.errors import HFValidationError

__all__ = ["Hub", "ModelCardData", "ModelInfo", "open_hub", "unreadable"]

_PAGE_SIZE: Final = 100
_MOST_PAGES: Final = 1000
_LIST: Final = "/api/models"
_NEXT: Final = re.compile(r"<([^<>]*)>\s*;[^<]*?\brel=\"?next\"?")
_ODD: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the library raises for a record that it does not expect; it does not say so, so these were found by trying."""

_asking: ContextVar[Hub | None] = ContextVar("hub", default=None)


class Hub:
    """One hub for the length of one fetch; for one thread. See open_hub.

    All methods raise what HubClient.get does, and HubFailed for an answer that cannot be read.
    """

    def __init__(self, client: HubClient) -> None:
        self._client = client
        self._url = str(httpx2.URL(client.endpoint.shown))
        # The client adds the token, so the library need not know it, and looks for none by itself.
        self._api = HfApi(self._url, token=False)
        self._pages: set[str] = set()

    def check_token(self, token: str) -> None:
        with _reading():
            self._api.whoami(token)

    def list_models(self, organization: str, search: str) -> Iterator[ModelInfo]:
        """Those of the organisation with `search` in their name. One that cannot be read has no name."""
        self._pages.clear()
        with _reading():
            yield from self._api.list_models(
                author=organization,
                search=search or None,
                # By default the hub puts first what is in fashion: with a limit, each day would bring other models.
                sort="created_at",
                full=True,
                cardData=True,
                fetch_config=True,
            )

    def fetch_model(self, name: str) -> ModelInfo:
        with _reading():
            return self._api.model_info(name)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """To a request of the library, of which only path and query are used."""
        url = str(request.url)
        if request.method != "GET" or not url.startswith(f"{self._url}/"):
            raise HubFailed("the library asks for something that is not of this hub", is_passing=False)
        path = url.removeprefix(self._url)
        if path.partition("?")[0] == _LIST:
            return self._answer_list(dict(parse_qsl(path.partition("?")[2], keep_blank_values=True)))
        return httpx2.Response(200, content=self._client.get(path).body)

    def _answer_list(self, query: dict[str, str]) -> httpx2.Response:
        """One page. Of the hub's link to the next one only the cursor is used, never its host or path."""
        if query.get("cursor") == "":
            raise HubFailed("the hub's link to the next page has no cursor", is_passing=False)
        query = {**query, "limit": str(_PAGE_SIZE)}  # in the library this would be the length of the list
        path = f"{_LIST}?{urlencode(query)}"
        if path in self._pages or len(self._pages) >= _MOST_PAGES:
            raise HubFailed("the hub's list has no end", is_passing=False)
        self._pages.add(path)
        answer = self._client.get(path)
        records = json.loads(answer.body)
        if not isinstance(records, list):
            raise unreadable()
        cursor = _next_cursor(answer.headers) if records else None
        headers = {}
        if cursor is not None:
            headers["Link"] = f'<{self._url}{_LIST}?{urlencode({**query, "cursor": cursor})}>; rel="next"'
        return httpx2.Response(200, headers=headers, content=_replace_odd(records, answer.body))


class _Transport(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        hub = _asking.get()
        if hub is None:
            raise HubFailed("huggingface_hub is for fetches of hf sources only", is_passing=False)
        return hub.answer(request)


class _Client(httpx2.Client):
    """Takes nothing from the environment, keeps nothing of an answer, and follows nothing by itself."""

    def __init__(self) -> None:
        super().__init__(transport=_Transport(), trust_env=False, follow_redirects=False)


# As long as this module is being imported nobody can use the client that this closes.
set_client_factory(_Client)
constants.HF_HUB_DISABLE_TELEMETRY = True
# Its warnings repeat what hubs and the authors of cards wrote.
logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)


@contextmanager
def open_hub(client: HubClient) -> Iterator[Hub]:
    """Let what this thread asks of the library be asked by `client`.

    Raises:
        Unavailable: something else in this process, such as a plugin, has given the library another HTTP client.
    """
    if not isinstance(get_session(), _Client):
        raise Unavailable("the HTTP client of huggingface_hub was replaced, so no hub is asked")
    hub = Hub(client)
    token = _asking.set(hub)
    try:
        yield hub
    finally:
        _asking.reset(token)


def unreadable() -> HubFailed:
    return HubFailed("the hub's answer cannot be read", is_passing=False)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except HFValidationError:
        raise HubFailed("is not a name that a hub knows", is_passing=False) from None
    except _ODD:
        raise unreadable() from None


def _replace_odd(records: list[Any], body: bytes) -> bytes:
    """The page without what the library cannot read: it would stop there, and one card would hide all other models."""
    readable = [record if _is_readable(record) else {"id": ""} for record in records]
    return body if readable == records else json.dumps(readable).encode()


def _is_readable(record: Any) -> bool:
    try:
        ModelInfo(**record)
    except _ODD:
        return False
    return True


def _next_cursor(headers: Message) -> str | None:
    """What the next page is called; None at the end, nothing where the link does not say."""
    link = _NEXT.search(headers.get("Link", ""))
    if link is None:
        return None
    target: str = link[1]
    return parse_qs(target.partition("?")[2]).get("cursor", [""])[0]
