"""huggingface_hub inside the hf provider: its own ways of asking, waiting and finding out do not come into play."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog_server.errors import Invalid, Unavailable
from catalog_server.providers import hf_client
from tests.contract.providers.hub_bench import HubBench, entries, names
from tests.fake_huggingface import TOKEN, Asked, Fault, Hub, serve_hub
from tests.server import SAMPLE

OTHER_TOKEN = "hf_theOtherToken0123456789"
OUR_HEADERS = {"host", "accept", "accept-encoding", "user-agent"}

HOSTILE = {
    **{"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
    **{"HF_ENDPOINT": "http://[", "HF_INFERENCE_ENDPOINT": "x", "HUGGINGFACE_CO_STAGING": "1"},
    **{"HF_HUB_ETAG_TIMEOUT": "soon", "HF_HUB_DOWNLOAD_TIMEOUT": "never", "HF_HUB_ENABLE_HF_TRANSFER": "1"},
    **{"HF_HUB_USER_AGENT_ORIGIN": "spy", "HF_HUB_DISABLE_TELEMETRY": "0", "AI_AGENT": "spy", "AGENT": "spy"},
    **{"HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug", "TQDM_DISABLE": "odd", "TQDM_MININTERVAL": "odd"},
    **{name: "odd://127.0.0.1:9" for name in ("http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")},
}

FETCH = """
import json, os, sys
from tests.contract.providers.hub_bench import NO_FILES, POLICY, names
from catalog_server.providers.huggingface import HuggingFaceProvider
provider = HuggingFaceProvider(max_bytes=10**6, policy=POLICY)
fetched = provider.fetch({"url": sys.argv[1], "includedModels": ["acme/*", "acme/gone"]}, NO_FILES)
from huggingface_hub import constants
print(json.dumps([names(fetched), [one.reason for one in fetched.missed], os.environ["HF_TOKEN"]]))
print(constants.ENDPOINT, constants.HF_HUB_DISABLE_TELEMETRY)
"""


@pytest.fixture
def bench() -> Iterator[HubBench]:
    with serve_hub() as hub:
        yield HubBench(hub)


class TestEnvironment:
    def test_hostile_environment_then_the_same_requests_and_nothing_on_disk(
        self, bench: HubBench, tmp_path: Path
    ) -> None:
        """Endpoint, token, being offline, proxies, time-outs, telemetry: all that the library reads from outside."""
        home = tmp_path / "home"
        home.mkdir()
        (home / "token").write_text(TOKEN)
        (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login spy password {TOKEN}")
        bench.hub.add("acme/a", readme="# a")
        bench.hub.add("acme/b", cardData={"model-index": [5]})  # of which the library warns on stderr
        bench.hub.page_size = 1
        environ = {**os.environ, **HOSTILE, "HF_HOME": str(home), "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FETCH, bench.hub.url], env=environ, capture_output=True, check=False
        )
        assert done.stderr.decode() == ""
        missed = ["acme/gone: does not exist, or is private and the token does not open it"]
        found, constants = done.stdout.decode().splitlines()
        assert json.loads(found) == [["acme/a", "acme/b"], missed, TOKEN]
        assert constants == "https://huggingface.co True"
        assert bench.hub.paths() == [
            "/api/models/acme/gone",
            "/api/models",
            "/api/models",
            "/acme/a/raw/main/README.md",
        ]
        assert all(set(asked.headers) == OUR_HEADERS for asked in bench.hub.requests)
        assert {asked.headers["user-agent"].partition("/")[0] for asked in bench.hub.requests} == {"catalog-server"}
        assert {path.name for path in tmp_path.rglob("*")} == {"home", "token", ".netrc"}

    def test_server_with_the_sample_catalog_then_the_library_is_not_there(self, tmp_path: Path) -> None:
        """It would be a tenth of what the idle server takes, for nothing."""
        arguments = [f"--sources={SAMPLE}"]
        program = (
            "import sys; from catalog_server.bootstrap import build; from catalog_server.settings import load;"
            "from catalog_server.telemetry.access_log import AccessLog;"
            f"settings = load({arguments}, {{'CATALOG_DATA_DIR': {str(tmp_path)!r}}});"
            "build(settings, AccessLog(False)).close();"
            "print([name for name in sys.modules if name.partition('.')[0] in ('huggingface_hub', 'httpx2', 'tqdm')])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert done.stdout.splitlines()[-1] == b"[]"


class TestPatience:
    @pytest.fixture(autouse=True)
    def no_sleep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The library sleeps with this; we wait with something that looks up."""

        def fail(seconds: float) -> None:
            assert seconds == 0, f"slept for {seconds} s"

        monkeypatch.setattr(time, "sleep", fail)

    @pytest.mark.parametrize(
        ("fault", "tries"),
        [
            (Fault(429, {"Retry-After": "300"}), 1),
            (Fault(429, {"RateLimit": '"api";r=0;t=300'}), 1),
            (Fault(429), 3),
            (Fault(503), 3),
            *((Fault(status), 1) for status in (400, 403, 404, 408, 416, 418, 500, 501)),
            (Fault(0), 2),
        ],
        ids=lambda given: str(getattr(given, "status", given)),
    )
    def test_list_fails_then_our_rules_hold_and_the_library_never_sleeps(
        self, bench: HubBench, fault: Fault, tries: int
    ) -> None:
        """It would try each of these six times, and with the pauses that the hub wants."""
        bench.hub.faults["/api/models?cursor=1"] = fault
        bench.hub.add("acme/a")
        bench.hub.add("acme/b")
        bench.hub.page_size = 1
        fetched = bench.fetch("acme/*")
        assert names(fetched) == ["acme/a"]
        assert [missed.names for missed in fetched.missed] == ["acme/*"]
        assert len(bench.hub.requests) == 1 + tries
        assert bench.waits == ([1, 3] if tries == 3 else [])


class TestLimits:
    def test_list_too_large_then_missed(self, bench: HubBench) -> None:
        bench.hub.add("other/a")
        bench.hub.faults["/api/models"] = Fault(200, body=b"[" + b" " * hf_client.MAX_ANSWER_BYTES + b"]")
        fetched = bench.fetch("acme/*", "other/a")
        assert [(missed.names, "more than" in missed.reason) for missed in fetched.missed] == [("acme/*", True)]

    @pytest.mark.parametrize("token", [None, TOKEN])
    def test_slow_answer_then_the_fetch_ends_in_time(self, bench: HubBench, token: str | None) -> None:
        """Of a list and of the check of the token, bytes that trickle included."""
        path = "/api/models" if token is None else "/api/whoami-v2"
        bench.hub.faults[path] = Fault(200, body=b" " * 100, delay_seconds=0.3)
        error = bench.fails("acme/*", timeout="1s", **({} if token is None else {"token": token}))
        assert isinstance(error, Unavailable)
        assert "no answer in time" in error.message

    def test_list_is_redirected_then_only_within_the_hub(self, bench: HubBench) -> None:
        bench.hub.add("acme/a")
        with serve_hub() as other:
            other.add("acme/evil")
            bench.hub.faults["/api/models"] = Fault(307, {"Location": f"{other.url}/api/models"})
            assert isinstance(bench.fails("acme/*", token=TOKEN), Invalid)
            assert other.requests == []
        bench.hub.faults["/api/models"] = Fault(307, {"Location": "/moved"})
        bench.hub.faults["/moved"] = Fault(200, body=json.dumps([bench.hub.models["acme/a"]]).encode())
        assert names(bench.fetch("acme/*")) == ["acme/a"]


class TestOddAnswers:
    def test_author_writes_what_the_library_refuses_then_only_that_model_is_asked_for_later(
        self, bench: HubBench
    ) -> None:
        bench.hub.add("acme/a")
        bench.hub.add("acme/b", cardData={"ignore_metadata_errors": True})
        bench.hub.add("acme/c")
        fetched = bench.fetch("acme/*")
        assert names(fetched) == ["acme/a", "acme/c"]
        assert [missed.names for missed in fetched.missed] == ["acme/*"]

    def test_token_is_checked_by_what_is_no_answer_then_the_source_fails(self, bench: HubBench) -> None:
        bench.hub.faults["/api/whoami-v2"] = Fault(200, body=b"<html>")
        assert "cannot be read" in bench.fails("acme/*", token=TOKEN).message


class TestSeveralFetches:
    def test_two_hubs_with_two_tokens_at_once_then_neither_learns_of_the_other(self) -> None:
        """The library has one client for the process. Each page waits for the other fetch, so they do overlap."""
        together = threading.Barrier(2, timeout=20)
        with serve_hub() as one, serve_hub() as two, ThreadPoolExecutor(2) as pool:
            for hub, token in ((one, TOKEN), (two, OTHER_TOKEN)):
                hub.tokens, hub.page_size = {token}, 1
                _meet(hub, together)
            for number in range(10):
                one.add(f"acme/one{number}", readme="# one", private=True)
                two.add(f"acme/two{number}", readme="# two", private=True)
            fetches = [
                pool.submit(HubBench(hub).fetch, "acme/*", token=token)
                for hub, token in ((one, TOKEN), (two, OTHER_TOKEN))
            ]
            found = [entries(fetch.result()) for fetch in fetches]
        assert [{entry["readme"] for entry in models} for models in found] == [{"# one"}, {"# two"}]
        assert [[entry["name"] for entry in models] for models in found] == [
            [f"acme/{word}{number}" for number in range(10)] for word in ("one", "two")
        ]
        for hub, token in ((one, TOKEN), (two, OTHER_TOKEN)):
            assert len(hub.requests) == 1 + 10 + 10
            assert {asked.headers["authorization"] for asked in hub.requests} == {f"Bearer {token}"}

    def test_hub_sets_a_cookie_then_the_next_fetch_does_not_bring_it(self, bench: HubBench) -> None:
        """It could stand for the token of another source."""
        bench.hub.faults["/api/models/acme/a"] = Fault(200, {"Set-Cookie": "session=1; Path=/"}, b'{"id": "acme/a"}')
        bench.fetch("acme/a", token=TOKEN)
        bench.fetch("acme/a")
        assert all("cookie" not in asked.headers for asked in bench.hub.requests)
        assert "authorization" not in bench.hub.requests[-1].headers


def _meet(hub: Hub, together: threading.Barrier) -> None:
    answer = hub.answer

    def meet(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if asked.path == "/api/models":
            together.wait()
        return answer(asked)

    hub.answer = meet  # type: ignore[method-assign]
