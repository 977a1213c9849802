"""The hf provider against a hub that speaks HTTP: what it fetches, what it leaves alone, and how it fails."""

from __future__ import annotations

import gzip
import ipaddress
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from catalog_server.errors import CatalogError, Invalid, TooLarge, Unavailable
from catalog_server.plugins.model import plugin
from catalog_server.providers import hf_client
from catalog_server.providers.base import Fetched
from catalog_server.providers.hf_source import HubPolicy
from catalog_server.providers.huggingface import HuggingFaceProvider
from catalog_server.schema.decode import Record, decode_entity
from catalog_server.schema.yaml_reader import iter_items
from catalog_server.settings.kinds import Secret
from tests.contract.providers.http_bench import make_certificate
from tests.contract.providers.hub_bench import LOOPBACK, NO_FILES, POLICY, HubBench, entries, names
from tests.fake_huggingface import TOKEN, Fault, serve_hub


@pytest.fixture
def bench() -> Iterator[HubBench]:
    with serve_hub() as hub:
        yield HubBench(hub)


def decode(fetched: Fetched) -> list[Record]:
    (file,) = fetched.files
    items = iter_items(file.data, file=file.shown, keys=plugin.kind.file_keys)
    return [decode_entity(plugin.kind, item.value, "hub") for item in items]


class TestWhatIsFetched:
    def test_named_model_then_the_model_plugin_takes_it_as_it_is(self, bench: HubBench) -> None:
        """Mapping of spec plugins.md 3.5, card data at the top level as the public hub sends it."""
        bench.hub.add(
            "acme/tiny",
            readme="# tiny\r\n\x00\x7f\x85 \u2028 \ufeff \N{GRINNING FACE} 'x': \"y\"\n",
            tags=["pytorch", "license:apache-2.0", "en"],
            gated="manual",
            cardData={"license": "apache-2.0", "language": ["en", "de"], "license_link": "https://a.test/l"},
            config={"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
        )
        fetched = bench.fetch("acme/tiny")
        (record,) = decode(fetched)
        document = json.loads(record.document)
        properties = {key: value["string_value"] for key, value in document.pop("customProperties").items()}
        assert document.pop("logo").startswith("data:image/svg+xml;base64,")
        assert document.pop("readme") == "# tiny\r\n\x7f\x85 \u2028 \ufeff \N{GRINNING FACE} 'x': \"y\"\n"
        assert document == {
            **{"name": "acme/tiny", "externalId": "acme/tiny", "source_id": "hub", "provider": "acme"},
            **{"tasks": ["text-generation"], "language": ["en", "de"], "libraryName": "transformers"},
            **{"license": "Apache 2.0", "licenseId": "apache-2.0", "licenseLink": "https://a.test/l"},
        }
        assert properties == {
            **{"hf_private": "false", "hf_gated": "manual", "hf_tags": '["pytorch", "en"]'},
            **{"hf_architectures": '["LlamaForCausalLM"]', "hf_model_type": "llama"},
        }
        assert record.times == (1714979289123, 1717747750000)
        (artifact,) = record.children
        assert json.loads(artifact.document)["uri"] == "hf://acme/tiny"
        assert record.warnings == fetched.missed == ()
        assert fetched.files[0].shown == f"hf:{bench.hub.url.removeprefix('http://')}"

    def test_unchanged_hub_then_equal_bytes(self, bench: HubBench) -> None:
        """Sorted by name, whatever the order in which the hub lists; nothing of the moment in it."""
        for name in ("acme/c", "acme/a", "acme/b"):
            bench.hub.add(name, readme=f"# {name}")
        first = bench.fetch("acme/*")
        bench.hub.models = dict(sorted(bench.hub.models.items()))
        assert names(first) == ["acme/a", "acme/b", "acme/c"]
        assert bench.fetch("acme/*") == first

    def test_organisation_then_all_pages_and_no_request_for_each_model(self, bench: HubBench) -> None:
        for number in range(250):
            bench.hub.add(f"acme/m{number:03}")
        assert len(names(bench.fetch("acme/*"))) == 250
        assert bench.hub.paths() == ["/api/models"] * 3
        assert [asked.query.get("cursor") for asked in bench.hub.requests] == [None, "100", "200"]

    def test_hub_with_smaller_pages_then_all_the_same(self, bench: HubBench) -> None:
        bench.hub.page_size = 7
        for number in range(20):
            bench.hub.add(f"acme/m{number:03}")
        assert len(names(bench.fetch("acme/*"))) == 20

    def test_hub_with_short_lists_then_each_model_is_asked_for(self, bench: HubBench) -> None:
        bench.hub.lists_in_full = False
        bench.hub.add("acme/a", readme="# a")
        assert entries(bench.fetch("acme/*"))[0]["readme"] == "# a"
        assert bench.hub.paths() == ["/api/models", "/api/models/acme/a", "/acme/a/raw/main/README.md"]

    def test_prefix_then_names_are_checked_again(self, bench: HubBench) -> None:
        """The hub's search finds the words anywhere in a name; case does not count."""
        for name in ("acme/Tiny-1", "acme/tiny-2", "acme/not-tiny", "other/tiny-3"):
            bench.hub.add(name)
        assert names(bench.fetch("acme/tiny*")) == ["acme/Tiny-1", "acme/tiny-2"]
        assert bench.hub.requests[0].query["search"] == "tiny"

    def test_excluded_then_not_asked_for(self, bench: HubBench) -> None:
        for name in ("acme/a", "acme/b-gguf", "acme/c"):
            bench.hub.add(name)
        bench.hub.lists_in_full = False
        assert names(bench.fetch("acme/*", "acme/c", excludedModels=["*-GGUF", "acme/c"])) == ["acme/a"]
        assert "/api/models/acme/c" not in bench.hub.paths()
        assert "/api/models/acme/b-gguf" not in bench.hub.paths()

    def test_renamed_model_then_under_the_name_of_today(self, bench: HubBench) -> None:
        bench.hub.add("org/gpt2")
        bench.hub.renamed["gpt2"] = "org/gpt2"
        assert names(bench.fetch("gpt2")) == ["org/gpt2"]

    def test_renamed_out_of_the_allowed_organisation_then_missed(self, bench: HubBench) -> None:
        bench.hub.add("acme/ok")
        bench.hub.add("evil/gpt2")
        bench.hub.renamed["acme/gpt2"] = "evil/gpt2"
        fetched = bench.fetch("gpt2", "ok", allowedOrganization="acme")
        assert names(fetched) == ["acme/ok"]
        assert [missed.names for missed in fetched.missed] == ["acme/gpt2"]

    def test_allowed_organisation_without_patterns_then_all_of_it(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        bench.hub.add("other/b")
        assert names(bench.fetch(allowedOrganization="acme")) == ["acme/a"]

    def test_path_in_url_then_before_every_request(self, bench: HubBench) -> None:
        bench.fails("acme/a", url=f"{bench.hub.url}/artifacts/hf/")
        assert bench.hub.paths() == ["/artifacts/hf/api/models/acme/a"]

    def test_nothing_matches_then_an_empty_file(self, bench: HubBench) -> None:
        fetched = bench.fetch("acme/*")
        assert decode(fetched) == []
        assert fetched.missed == ()


class TestLimits:
    def test_max_models_then_no_more_and_nothing_missed(self, bench: HubBench) -> None:
        """The limit holds for the whole source; models that are named come first."""
        for number in range(30):
            bench.hub.add(f"acme/m{number:03}")
        bench.hub.add("other/named")
        bench.hub.page_size = 5
        with capture_logs() as logs:
            fetched = bench.fetch("acme/*", "other/named", maxModels=8)
        assert len(names(fetched)) == 8
        assert "other/named" in names(fetched)
        assert fetched.missed == ()
        assert len(bench.hub.requests) == 3
        assert [(log["event"], log["limit"]) for log in logs] == [("limit of models reached", 8)]

    def test_large_readme_then_cut(self, bench: HubBench) -> None:
        bench.hub.add("acme/a", readme="\N{GRINNING FACE}" * 100_000)
        readme = entries(bench.fetch("acme/a"))[0]["readme"]
        assert readme == "\N{GRINNING FACE}" * (128 * 1024 // 4)

    def test_file_would_be_too_large_then_without_the_last_readmes(self, bench: HubBench) -> None:
        for name in ("acme/a", "acme/b"):
            bench.hub.add(name, readme="x" * 5000)
        fetched = bench.fetch("acme/*", settings={"max_bytes": 9000})
        assert ["readme" in entry for entry in entries(fetched)] == [True, False]
        assert len(fetched.files[0].data) <= 9000
        assert isinstance(bench.fails("acme/*", settings={"max_bytes": 500}), TooLarge)

    def test_answer_too_large_then_missed(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        bench.hub.add("acme/b")
        bench.hub.faults["/api/models/acme/a"] = Fault(200, body=b" " * (hf_client.MAX_ANSWER_BYTES + 1))
        fetched = bench.fetch("acme/a", "acme/b")
        assert [missed.names for missed in fetched.missed] == ["acme/a"]

    @pytest.mark.parametrize("delay_in", ["/api/models/acme/a", "/acme/a/raw/main/README.md"])
    def test_slow_hub_then_the_fetch_ends_in_time(self, bench: HubBench, delay_in: str) -> None:
        """One deadline for all of it, bytes that trickle included."""
        bench.hub.add("acme/a", readme="# a")
        bench.hub.faults[delay_in] = Fault(200, body=b" " * 20, delay_seconds=0.3)
        if "raw" in delay_in:
            assert "readme" not in entries(bench.fetch("acme/a", timeout="1s"))[0]
        else:
            error = bench.fails("acme/a", timeout="1s")
            assert isinstance(error, Unavailable)
            assert "no answer in time" in error.message


class TestSingleFailures:
    @pytest.mark.parametrize(
        ("status", "words"),
        [(500, "500 Internal Server Error"), (401, "does not exist, or is private"), (403, "not open"), (404, "exist")],
    )
    def test_one_model_fails_then_missed_and_the_others_are_there(
        self, bench: HubBench, status: int, words: str
    ) -> None:
        for name in ("acme/a", "acme/b", "acme/c"):
            bench.hub.add(name)
        bench.hub.faults["/api/models/acme/b"] = Fault(status)
        fetched = bench.fetch("acme/a", "acme/b", "acme/c")
        assert names(fetched) == ["acme/a", "acme/c"]
        (missed,) = fetched.missed
        assert missed.names == "acme/b"
        assert words in missed.reason

    def test_listed_model_fails_then_missed_but_one_that_is_gone_is_not(self, bench: HubBench) -> None:
        bench.hub.lists_in_full = False
        for name in ("acme/a", "acme/b", "acme/c"):
            bench.hub.add(name)
        bench.hub.faults["/api/models/acme/a"] = Fault(404)
        bench.hub.faults["/api/models/acme/b"] = Fault(500)
        fetched = bench.fetch("acme/*")
        assert (names(fetched), [missed.names for missed in fetched.missed]) == (["acme/c"], ["acme/b"])

    def test_list_breaks_off_then_first_pages_and_the_pattern_missed(self, bench: HubBench) -> None:
        for number in range(8):
            bench.hub.add(f"acme/m{number}")
        bench.hub.page_size = 5
        bench.hub.faults["/api/models?cursor=5"] = Fault(500)
        fetched = bench.fetch("acme/*")
        assert len(names(fetched)) == 5
        assert [missed.names for missed in fetched.missed] == ["acme/*"]

    def test_bare_name_fails_then_kept_under_any_organisation(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        bench.hub.faults["/api/models/gpt2"] = Fault(500)
        assert [missed.names for missed in bench.fetch("gpt2", "acme/a").missed] == ["*gpt2"]

    def test_odd_record_in_a_list_then_missed(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        for index, odd in enumerate(("../../etc", 7, None, "acme/x y")):
            bench.hub.models[f"acme/odd{index}"] = {**bench.hub.models["acme/a"], "id": odd, "modelId": odd}
        fetched = bench.fetch("acme/*")
        assert names(fetched) == ["acme/a"]
        assert {missed.names for missed in fetched.missed} == {"acme/*"}

    @pytest.mark.parametrize("status", [404, 500, 429, 0])
    def test_readme_fails_then_model_without_it(self, bench: HubBench, status: int) -> None:
        bench.hub.add("acme/a", readme="# a")
        bench.hub.faults["/acme/a/raw/main/README.md"] = Fault(status)
        fetched = bench.fetch("acme/a")
        assert "readme" not in entries(fetched)[0]
        assert fetched.missed == ()

    def test_connection_lost_once_then_asked_again(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        bench.hub.add("acme/b")
        bench.hub.faults["/api/models/acme/b"] = Fault(0, times=1)
        assert bench.fetch("acme/a", "acme/b").missed == ()


class TestWholeFailures:
    def test_nothing_because_the_hub_is_broken_then_unavailable(self, bench: HubBench) -> None:
        bench.hub.faults["/api/models/acme/a"] = Fault(500)
        error = bench.fails("acme/a", "acme/missing")
        assert isinstance(error, Unavailable)
        assert "acme/a: the hub answers 500" in error.message

    def test_nothing_because_none_exists_then_invalid(self, bench: HubBench) -> None:
        error = bench.fails("acme/a", "acme/b")
        assert isinstance(error, Invalid)
        assert "acme/a: does not exist" in error.message

    def test_no_hub_then_unavailable_and_only_a_few_tries(self, bench: HubBench) -> None:
        models = [f"acme/m{number}" for number in range(300)]
        bench.hub.faults = {f"/api/models/{name}": Fault(0) for name in models}
        error = bench.fails(*models)
        assert isinstance(error, Unavailable)
        assert error.message.endswith("and 295 more")
        assert len(bench.hub.requests) < 20

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"[]", b'{"id": "../x"}', b'{"id": 5}', b"null", b"\xff", b'{"id": "a\\ud800"}']
    )
    def test_answer_is_no_model_then_invalid(self, bench: HubBench, body: bytes) -> None:
        bench.hub.faults["/api/models/acme/a"] = Fault(200, body=body)
        assert "cannot be read" in bench.fails("acme/a").message

    @pytest.mark.parametrize("link", ["{base}{path}?page=2", "{base}{path}?cursor=", "{base}{path}", "//["])
    def test_next_page_without_cursor_then_missed(self, bench: HubBench, link: str) -> None:
        bench.hub.page_size = 1
        bench.hub.add("acme/a")
        bench.hub.add("acme/b")
        bench.hub.next_link = link
        assert [missed.names for missed in bench.fetch("acme/*").missed] == ["acme/*"]

    def test_list_in_a_ring_then_it_ends(self, bench: HubBench) -> None:
        for name in ("acme/a", "acme/b", "acme/c"):
            bench.hub.add(name)
        bench.hub.page_size = 1
        bench.hub.next_link = "{base}{path}?cursor=1"
        assert "no end" in bench.fetch("acme/*").missed[0].reason
        assert len(bench.hub.requests) == 2


class TestPatience:
    def test_busy_for_a_moment_then_waited_for(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        bench.hub.faults["/api/models/acme/a"] = Fault(429, {"Retry-After": "7"}, times=1)
        assert bench.fetch("acme/a").missed == ()
        bench.hub.faults["/api/models/acme/a"] = Fault(503, times=2)
        assert bench.fetch("acme/a").missed == ()
        bench.hub.faults["/api/models/acme/a"] = Fault(429, {"RateLimit": '"api";r=0;t=11'}, times=1)
        assert bench.fetch("acme/a").missed == ()
        assert bench.waits == [7, 1, 3, 12]

    def test_busy_for_long_then_left_alone(self, bench: HubBench) -> None:
        """After 'come back in five minutes' no further request is made in this fetch."""
        bench.hub.add("acme/a", readme="# a")
        bench.hub.faults["/api/models/acme/b"] = Fault(429, {"Retry-After": "300"})
        fetched = bench.fetch("acme/a", "acme/b", "acme/c", "acme/*")
        assert names(fetched) == ["acme/a"]
        assert [missed.names for missed in fetched.missed] == ["acme/b", "acme/c", "acme/*"]
        assert bench.hub.paths() == ["/api/models/acme/a", "/api/models/acme/b"]
        assert bench.waits == []

    def test_broken_again_and_again_then_given_up(self, bench: HubBench) -> None:
        """A hub that is down costs a few tries, not a few for each model."""
        wanted = [f"acme/m{number}" for number in range(20)]
        bench.hub.faults = {f"/api/models/{name}": Fault(503) for name in wanted}
        bench.fails(*wanted)
        assert len(bench.hub.requests) == 9
        assert bench.waits == [1, 3] * 3

    def test_busy_from_the_start_then_unavailable_until_then(self, bench: HubBench) -> None:
        bench.hub.faults["/api/models"] = Fault(429, {"Retry-After": "300"})
        error = bench.fails("acme/*")
        assert isinstance(error, Unavailable)
        assert (error.retry_after_seconds, error.is_asked) == (300, True)


class TestEncodings:
    """Answers are packed where the hub offers it; the limits hold for what comes out."""

    def test_packed_list_then_read(self, bench: HubBench) -> None:
        record = b'[{"id": "acme/a", "tags": [], "siblings": [], "cardData": {}}]'
        bench.hub.faults["/api/models"] = Fault(200, {"Content-Encoding": "gzip"}, gzip.compress(record))
        assert names(bench.fetch("acme/*")) == ["acme/a"]
        assert bench.hub.requests[0].headers["accept-encoding"] == "gzip, deflate"

    @pytest.mark.parametrize(
        ("coding", "body", "reason"),
        [
            ("br", b"x", "content coding other than"),
            ("gzip", b"no gzip", "damaged content coding"),
            ("gzip", gzip.compress(b" " * (hf_client.MAX_ANSWER_BYTES + 1)), "more than"),
        ],
        ids=["unknown", "damaged", "bomb"],
    )
    def test_one_answer_that_cannot_be_unpacked_then_missed(
        self, bench: HubBench, coding: str, body: bytes, reason: str
    ) -> None:
        bench.hub.add("acme/b")
        bench.hub.faults["/api/models/acme/a"] = Fault(200, {"Content-Encoding": coding}, body)
        fetched = bench.fetch("acme/a", "acme/b")
        assert names(fetched) == ["acme/b"]
        (missed,) = fetched.missed
        assert reason in missed.reason


class TestToken:
    def test_token_then_sent_and_private_models_seen(self, bench: HubBench) -> None:
        bench.hub.add("acme/secret", private=True)
        for given in (
            {"token": f"{TOKEN}\n"},
            {"apiKeyEnvVar": "HF_TOKEN", "settings": {"environment_tokens": {"HF_TOKEN": Secret(TOKEN)}}},
            {"settings": {"environment_tokens": {"HF_API_KEY": TOKEN}}},
        ):
            assert names(bench.fetch("acme/secret", **given)) == ["acme/secret"]
        assert bench.hub.paths()[:2] == ["/api/whoami-v2", "/api/models/acme/secret"]
        assert {asked.headers["authorization"] for asked in bench.hub.requests} == {f"Bearer {TOKEN}"}
        assert bench.hub.requests[0].headers["user-agent"].startswith("catalog-server/")

    def test_no_token_then_none_is_sent_whatever_the_environment_holds(
        self, bench: HubBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "token").write_text(TOKEN)
        for name, value in {"HF_TOKEN": TOKEN, "HF_API_KEY": TOKEN, "HF_HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
        bench.hub.add("acme/a")
        assert names(bench.fetch("acme/a")) == ["acme/a"]
        assert "authorization" not in bench.hub.requests[0].headers

    def test_wrong_token_then_invalid_credentials(self, bench: HubBench) -> None:
        bench.hub.tokens = {"hf_another"}
        with capture_logs() as logs:
            error = bench.fails("acme/a", token=TOKEN)
        assert isinstance(error, Invalid)
        assert "invalid credentials" in error.message
        assert error.field == "properties.token"
        assert TOKEN not in repr(logs)
        assert bench.hub.paths() == ["/api/whoami-v2"]

    @pytest.mark.parametrize(("status", "kind"), [(403, Invalid), (404, Invalid), (500, Unavailable), (0, Unavailable)])
    def test_token_cannot_be_checked_then_the_source_fails(
        self, bench: HubBench, status: int, kind: type[CatalogError]
    ) -> None:
        bench.hub.faults["/api/whoami-v2"] = Fault(status)
        assert type(bench.fails("acme/a", token=TOKEN)) is kind

    def test_host_that_may_not_have_the_token_then_anonymous_or_refused(self, bench: HubBench) -> None:
        """A custom url gets no token of the server; one that is asked for by name is refused, not dropped."""
        bench.hub.add("acme/a")
        policy = HubPolicy(frozenset(), POLICY.http_hosts, POLICY.allowed_networks)
        settings = {"policy": policy, "environment_tokens": {"HF_API_KEY": TOKEN}}
        assert names(bench.fetch("acme/a", settings=settings)) == ["acme/a"]
        assert all("authorization" not in asked.headers for asked in bench.hub.requests)
        assert bench.fails("acme/a", settings=settings, token=TOKEN).field == "properties.token"
        assert bench.fails("acme/a", settings=settings, apiKeyEnvVar="HF_API_KEY").field == "properties.apiKeyEnvVar"


class TestWhereRequestsGo:
    def test_redirect_to_another_host_then_not_followed(self, bench: HubBench) -> None:
        with serve_hub() as other:
            for location in (f"{other.url}/api/models/acme/a", other.url.replace("http:", ""), "//[", "\\\\x", ""):
                bench.hub.faults["/api/models/acme/a"] = Fault(307, {"Location": location})
                assert "redirects to" in bench.fails("acme/a", token=TOKEN).message
            assert other.requests == []

    def test_redirects_in_a_ring_then_they_end(self, bench: HubBench) -> None:
        bench.hub.renamed["acme/a"] = "acme/a"
        assert "redirects" in bench.fails("acme/a").message

    def test_next_page_at_another_host_then_asked_here(self, bench: HubBench) -> None:
        with serve_hub() as other:
            for number in range(3):
                bench.hub.add(f"acme/m{number}")
            bench.hub.page_size = 2
            bench.hub.next_link = f"{other.url}{{path}}?{{query}}"
            assert len(names(bench.fetch("acme/*", token=TOKEN))) == 3
            assert other.requests == []

    @pytest.mark.parametrize(
        ("host", "problem"),
        [
            *(("127.0.0.1", "not public"), ("localhost", "not public"), ("[::1]", "not public")),
            *(("2130706433", "odd form of an IPv4 address"), ("0", "odd form of an IPv4 address")),
        ],
    )
    def test_private_address_then_refused_unless_allowed(self, bench: HubBench, host: str, problem: str) -> None:
        url = bench.hub.url.replace("127.0.0.1", host)
        policy = HubPolicy(http_hosts=frozenset({host.strip("[]")}))
        error = bench.fails("acme/a", url=url, settings={"policy": policy})
        assert error.field == "properties.url"
        assert problem in error.message
        assert bench.hub.requests == []

    def test_allowed_network_then_reached_by_name_too(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        policy = HubPolicy(
            http_hosts=frozenset({"localhost"}), allowed_networks=(LOOPBACK, ipaddress.ip_network("::1/128"))
        )
        url = bench.hub.url.replace("127.0.0.1", "localhost")
        assert names(bench.fetch("acme/a", url=url, settings={"policy": policy})) == ["acme/a"]
        assert bench.hub.requests[0].headers["host"].startswith("localhost:")


class TestTLS:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return make_certificate(tmp_path, "DNS:localhost")

    def test_certificate_then_checked_before_anything_is_sent(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Issuer and name are checked, although the connection goes to an address that was resolved before."""
        policy = HubPolicy(frozenset({"localhost", "127.0.0.1"}), allowed_networks=(LOOPBACK,))
        settings = {"policy": policy}
        with serve_hub(certificate) as hub:
            bench = HubBench(hub)
            hub.add("acme/a", readme="# a")
            hub.url = hub.url.replace("127.0.0.1", "localhost")
            assert "its certificate is not accepted" in bench.fails("acme/a", token=TOKEN, settings=settings).message
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
            by_address = hub.url.replace("localhost", "127.0.0.1")
            error = bench.fails("acme/a", token=TOKEN, settings=settings, url=by_address)
            assert "its certificate is not accepted" in error.message
            assert hub.requests == []
            assert entries(bench.fetch("acme/a", token=TOKEN, settings=settings))[0]["readme"] == "# a"
            assert hub.requests[0].headers["host"].startswith("localhost:")

    def test_silent_handshake_then_the_fetch_ends_in_time(self, bench: HubBench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"https://127.0.0.1:{mute.getsockname()[1]}"
            assert "no answer in time" in bench.fails("acme/a", url=url, timeout="1s").message


class TestRole:
    def test_check_then_nothing_is_asked(self, bench: HubBench) -> None:
        provider = HuggingFaceProvider(max_bytes=1000, policy=POLICY)
        provider.check({"url": bench.hub.url, "includedModels": ["acme/*"]}, NO_FILES)
        with pytest.raises(Invalid):
            provider.check({"url": bench.hub.url}, NO_FILES)
        assert bench.hub.requests == []
        assert provider.watched({}, NO_FILES) == ()
        assert provider.sync_interval({}) == timedelta(hours=24)
        assert provider.sync_interval({"syncInterval": "30m"}) == timedelta(minutes=30)
        assert provider.sync_interval({"syncInterval": "0s"}) is None

    def test_imported_and_checked_then_without_an_http_client(self) -> None:
        """A server that never fetches from a hub does not pay for it."""
        program = (
            "import sys; from catalog_server.providers.huggingface import HuggingFaceProvider as P;"
            "P(max_bytes=1).check({'allowedOrganization': 'x'}, None);"
            "sys.exit(any(name in sys.modules for name in ('http.client', 'httpx', 'huggingface_hub')))"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
