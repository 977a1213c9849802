"""The hub's library over a client that is ours: what reaches it, what it may ask for, and whatever a hub may send."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from email.message import Message
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from huggingface_hub import get_session, set_client_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_server.errors import Unavailable
from catalog_server.providers.hf_client import Answer, HubFailed
from catalog_server.providers.hf_library import Hub, open_hub
from catalog_server.providers.hf_models import describe_model, name_of
from catalog_server.providers.http_target import Target

GOOD = {"id": "acme/good", "siblings": [], "tags": ["license:mit"]}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("author", "tags", "siblings", "cardData", "card_data", "config", "createdAt", "lastModified", "gated"),
    *("safetensors", "evalResults", "transformersInfo", "inferenceProviderMapping", "model-index", "gguf", "self"),
)
CARD_FIELDS = ("language", "license", "tags", "model-index", "eval_results", "self", "ignore_metadata_errors", "data")
CARDS = st.fixed_dictionaries({}, optional={field: ANYTHING for field in CARD_FIELDS})
RECORDS = st.fixed_dictionaries(
    {"id": st.just("acme/a")}, optional={**{field: ANYTHING for field in FIELDS}, "cardData": ANYTHING | CARDS}
)


class Client:
    """Answers with these bodies, one after the other; `links` are its headers."""

    def __init__(self, *bodies: Any, links: tuple[str, ...] = ()) -> None:
        self.endpoint = Target("https", "hub.test", 443, "/mirror")
        self.paths: list[str] = []
        self._bodies = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
        self._links = list(links)

    def get(self, path: str, **_: Any) -> Answer:
        self.paths.append(path)
        headers = Message()
        if self._links:
            headers["Link"] = self._links.pop(0)
        return Answer(200, headers, self._bodies.pop(0), False)

    def cursors(self) -> list[str | None]:
        return [parse_qs(path.partition("?")[2]).get("cursor", [None])[0] for path in self.paths]


def ask(*bodies: Any, links: tuple[str, ...] = ()) -> tuple[Client, Any]:
    client = Client(*bodies, links=links)
    return client, open_hub(client)  # type: ignore[arg-type]


def names(hub: Hub) -> Iterator[str]:
    return map(name_of, hub.list_models("acme", ""))


class TestWhatIsAsked:
    def test_list_then_all_that_a_record_has_and_pages_of_a_hundred(self) -> None:
        client, opened = ask([GOOD])
        with opened as hub:
            assert [name_of(model) for model in hub.list_models("acme", "tiny")] == ["acme/good"]
        path, _, query = client.paths[0].partition("?")
        assert path == "/api/models"
        assert {key: values[0] for key, values in parse_qs(query).items()} == {
            **{"author": "acme", "search": "tiny", "sort": "createdAt", "limit": "100"},
            **{"full": "true", "cardData": "true", "config": "true"},
        }

    def test_model_and_token_then_their_paths(self) -> None:
        client, opened = ask(GOOD, {"name": "someone"})
        with opened as hub:
            assert name_of(hub.fetch_model("acme/good")) == "acme/good"
            hub.check_token("hf_x")
        assert client.paths == ["/api/models/acme/good", "/api/whoami-v2"]

    @pytest.mark.parametrize("name", ["acme/a--b", "acme/a..b", "acme/a.git"])
    def test_name_that_the_library_refuses_then_said_and_not_asked_for(self, name: str) -> None:
        client, opened = ask()
        with opened as hub, pytest.raises(HubFailed, match="not a name that a hub knows"):
            hub.fetch_model(name)
        assert client.paths == []


class TestWhoMayAsk:
    def test_outside_of_a_fetch_then_refused(self) -> None:
        """Also behind one, and in a thread that one has started."""
        client, opened = ask(GOOD)
        refused = []

        def ask_for_it() -> None:
            with pytest.raises(HubFailed, match="for fetches of hf sources only"):
                get_session().get("https://hub.test/mirror/api/models/acme/good")
            refused.append(True)

        with opened:
            thread = threading.Thread(target=ask_for_it)
            thread.start()
            thread.join()
        ask_for_it()
        assert refused == [True, True]
        assert client.paths == []

    @pytest.mark.parametrize(
        "url",
        [
            *("https://other.test/mirror/api/models/acme/good", "http://hub.test/mirror/api/models/acme/good"),
            *("https://hub.test:8443/mirror/api/models", "https://hub.test.evil.test/mirror/api/models"),
            *(
                "https://hub.test/api/models",
                "https://hub.test/mirror2/api/models",
                "https://hub.test@evil.test/mirror/",
            ),
        ],
    )
    def test_anything_but_this_hub_then_refused(self, url: str) -> None:
        client, opened = ask(GOOD)
        with opened, pytest.raises(HubFailed, match="not of this hub"):
            get_session().get(url)
        assert client.paths == []

    def test_anything_but_reading_then_refused(self) -> None:
        client, opened = ask(GOOD)
        with opened, pytest.raises(HubFailed, match="not of this hub"):
            get_session().post("https://hub.test/mirror/api/models/acme/good")
        assert client.paths == []

    def test_client_was_replaced_then_nothing_is_asked(self) -> None:
        """A plugin of somebody else may do so; it would take the guard of addresses away."""
        ours = type(get_session())
        client, opened = ask(GOOD)
        set_client_factory(lambda: httpx2.Client(trust_env=False, transport=httpx2.MockTransport(lambda _: None)))
        try:
            with pytest.raises(Unavailable, match="was replaced"), opened:
                pass
        finally:
            set_client_factory(ours)
        assert client.paths == []


class TestPages:
    def test_next_page_then_only_the_cursor_counts(self) -> None:
        link = '<https://evil.test/steal?cursor=a%3D%26x&limit=9>; rel="next"'
        client, opened = ask([GOOD], [GOOD], links=(link,))
        with opened as hub:
            assert list(names(hub)) == ["acme/good"] * 2
        assert client.cursors() == [None, "a=&x"]
        first, second = client.paths
        assert second == f"{first}&cursor=a%3D%26x"

    @pytest.mark.parametrize("link", ['<https://hub.test/x>; rel="next"', '<?cursor=>; rel="next"'])
    def test_link_without_cursor_then_an_error_behind_the_page(self, link: str) -> None:
        _, opened = ask([GOOD], links=(link,))
        with opened as hub:
            found = names(hub)
            assert next(found) == "acme/good"
            with pytest.raises(HubFailed, match="no cursor"):
                next(found)

    def test_cursors_in_a_ring_then_each_page_once(self) -> None:
        links = tuple(f'<?cursor={cursor}>; rel="next"' for cursor in "abcb")
        client, opened = ask(*[[GOOD]] * 4, links=links)
        with opened as hub:
            found = names(hub)
            assert [next(found) for _ in range(4)] == ["acme/good"] * 4
            with pytest.raises(HubFailed, match="no end"):
                next(found)
        assert client.cursors() == [None, "a", "b", "c"]

    def test_list_is_read_twice_then_that_is_no_ring(self) -> None:
        client, opened = ask([GOOD], [GOOD])
        with opened as hub:
            assert list(names(hub)) == list(names(hub))
        assert len(client.paths) == 2

    def test_empty_page_with_a_next_one_then_the_end(self) -> None:
        client, opened = ask([], links=('<?cursor=a>; rel="next"',))
        with opened as hub:
            assert list(names(hub)) == []
        assert len(client.paths) == 1


class TestOddAnswers:
    @pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff", b'{"error": "x"}', b"null", b"[" * 100_000])
    def test_no_list_then_unreadable(self, body: bytes) -> None:
        _, opened = ask(body)
        with opened as hub, pytest.raises(HubFailed, match="cannot be read"):
            list(names(hub))

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b"{}", b'{"id": "a", "createdAt": "yesterday"}'])
    def test_no_model_then_unreadable(self, body: bytes) -> None:
        _, opened = ask(body)
        with opened as hub, pytest.raises(HubFailed, match="cannot be read"):
            hub.fetch_model("acme/a")

    @pytest.mark.parametrize(
        "odd",
        [
            *(None, 7, "x", [], {}, {"modelId": "acme/a"}),
            {"id": "acme/a", "self": 1},
            {"id": "acme/a", "cardData": {"self": 1}},
            {"id": "acme/a", "cardData": {"ignore_metadata_errors": True}},
            {"id": "acme/a", "siblings": [{"name": "x"}]},
            {"id": "acme/a", "createdAt": "yesterday"},
            {"id": "acme/a", "safetensors": {"x": 1}},
            {"id": "acme/a", "inferenceProviderMapping": "x"},
        ],
    )
    def test_one_record_is_odd_then_nameless_and_the_others_are_there(self, odd: Any) -> None:
        """Authors write the card; one of them must not be able to hide the models of the others."""
        _, opened = ask([GOOD, odd, {**GOOD, "id": "acme/last"}])
        with opened as hub:
            assert list(names(hub)) == ["acme/good", "", "acme/last"]

    @settings(max_examples=200)
    @given(RECORDS)
    def test_whatever_a_record_holds_then_a_model_or_nameless(self, record: dict[str, Any]) -> None:
        _, opened = ask([record, GOOD])
        with opened as hub:
            first, second = hub.list_models("acme", "")
        assert name_of(first) == "" or describe_model(first).name == "acme/a"
        assert name_of(second) == "acme/good"
