"""What an hf source may ask for. Nothing here touches the network."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from catalog_server.errors import Invalid
from catalog_server.providers.hf_source import HubPolicy, HubSource, hub_sync_interval, read_hub_source
from catalog_server.providers.http_target import Target
from catalog_server.settings.kinds import Secret

TOKEN = "hf_s3cr3tValue"
ENVIRONMENT: Mapping[str, Secret | str] = {"HF_API_KEY": Secret(TOKEN), "HF_TOKEN": "hf_other"}


def read(
    policy: HubPolicy | None = None, environment: Mapping[str, Secret | str] = ENVIRONMENT, **given: Any
) -> HubSource:
    return read_hub_source({"includedModels": ["acme/*"], **given}, policy or HubPolicy(), environment)


def fault_of(policy: HubPolicy | None = None, **given: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(policy, **given)
    assert "s3cr3t" not in caught.value.message
    return caught.value


def test_only_patterns_then_defaults() -> None:
    source = read(environment={})
    assert source.endpoint == Target("https", "huggingface.co", 443, "")
    assert source.endpoint.authority == "huggingface.co"
    assert [pattern.text for pattern in source.patterns] == ["acme/*"]
    assert (source.organization, source.max_models, source.timeout_seconds, source.token) == (None, 500, 300, None)
    assert hub_sync_interval({}) == timedelta(hours=24)


def test_token_then_not_shown() -> None:
    source = read()
    assert source.token == TOKEN
    assert "s3cr3t" not in repr(source)


def test_named_models_then_before_patterns_and_once() -> None:
    source = read(includedModels=["b/*", "b/x", "a", "b/*", "b/x"])
    assert [pattern.text for pattern in source.patterns] == ["b/x", "a", "b/*"]
    assert [pattern.text for pattern in read(includedModels="b/x").patterns] == ["b/x"]


def test_organisation_then_all_patterns_inside() -> None:
    source = read(allowedOrganization="acme", includedModels=["a", "b*", "*", "ACME/c"], excludedModels=["d*", "x/e"])
    assert [pattern.text for pattern in source.patterns] == ["acme/a", "ACME/c", "acme/b*", "acme/*"]
    assert source.excluded.match("acme/d1")
    assert source.excluded.match("x/e")
    assert [pattern.text for pattern in read(allowedOrganization="acme", includedModels=None).patterns] == ["acme/*"]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("includedModels", {"includedModels": None}),
        ("includedModels", {"includedModels": []}),
        ("includedModels", {"includedModels": [1]}),
        ("includedModels[1]", {"includedModels": ["a/b", "*"]}),
        ("includedModels[0]", {"includedModels": [""], "allowedOrganization": "acme"}),
        ("includedModels[0]", {"includedModels": ["x/y"], "allowedOrganization": "acme"}),
        ("includedModels[0]", {"includedModels": ["a*b"], "allowedOrganization": "acme"}),
        ("excludedModels[0]", {"excludedModels": [" "]}),
        ("excludedModels", {"excludedModels": 1}),
        ("allowedOrganization", {"allowedOrganization": "a/b"}),
        ("maxModels", {"maxModels": -1}),
        ("maxModels", {"maxModels": 10_001}),
        ("maxModels", {"maxModels": True}),
        ("maxModels", {"maxModels": "5"}),
        ("maxModels", {"maxModels": 1.5}),
        ("timeout", {"timeout": "0s"}),
        ("timeout", {"timeout": "31m"}),
        ("timeout", {"timeout": 5}),
        ("syncInterval", {"syncInterval": "daily"}),
        ("apiKeyEnvVar", {"apiKeyEnvVar": "DATABASE_PASSWORD"}),
        ("token", {"token": "s3cr3t-without-prefix"}),
        ("token", {"token": "hf_s3cr3t with blanks"}),
        ("token", {"token": "hf_s3cr3t\r\nX: y"}),
        ("token", {"token": TOKEN, "apiKeyEnvVar": "HF_TOKEN"}),
        ("token", {"token": {"name": "n", "key": "k"}}),
        ("maxModel", {"maxModel": 1}),
    ],
)
def test_wrong_property_then_named(field: str, given: dict[str, Any]) -> None:
    assert fault_of(**given).field == f"properties.{field}"


@pytest.mark.parametrize(("given", "limit"), [(0, 10_000), (1, 1), (10_000, 10_000), (None, 500)])
def test_max_models_then_never_without_limit(given: int | None, limit: int) -> None:
    assert read(maxModels=given).max_models == limit


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://hub.example.com", Target("https", "hub.example.com", 443, "")),
        ("HTTPS://Hub.Example.com:8443/", Target("https", "hub.example.com", 8443, "")),
        ("https://hub.example.com/api/hf/remote/", Target("https", "hub.example.com", 443, "/api/hf/remote")),
        ("https://[2606:4700::1111]", Target("https", "2606:4700::1111", 443, "")),
    ],
)
def test_good_url_then_taken(url: str, endpoint: Target) -> None:
    assert read(url=url).endpoint == endpoint


def test_shown_then_with_a_port_that_is_not_the_usual_one() -> None:
    assert read(url="https://[2606:4700::1111]:8443").endpoint.authority == "[2606:4700::1111]:8443"


@pytest.mark.parametrize(
    "url",
    [
        *("hub.example.com", "ftp://host", "file:///etc/passwd", "https://", "https:///x", "http://hub.example.com"),
        *(
            "https://user:s3cr3t@host",
            "https://s3cr3t@host",
            "https://host?x=s3cr3t",
            "https://host#x",
            "https://host:0",
        ),
        *(
            "https://host:99999",
            "https://host:x",
            "https://ho st",
            "https://host/a b",
            "https://host\\@evil",
            "https://[::1",
        ),
        *("https://host/../x", "https://host/%2e%2e", "https://häst", "https://host\r\nx", "https://" + "x" * 2048),
        *(
            "https://127.0.0.1",
            "https://169.254.169.254",
            "https://[::ffff:10.0.0.1]",
            "https://10.0.0.1/x",
            "https://-x",
        ),
        *("https://[1:2]", "", 5),
    ],
)
def test_odd_url_then_refused(url: object) -> None:
    assert fault_of(url=url).field == "properties.url"


def test_http_then_only_for_hosts_that_the_server_allows() -> None:
    policy = HubPolicy(http_hosts=frozenset({"hub.local"}))
    assert read(policy, url="http://hub.local:8080").endpoint == Target("http", "hub.local", 8080, "")
    assert fault_of(policy, url="http://other.local").field == "properties.url"


def test_private_address_then_only_inside_allowed_networks() -> None:
    policy = HubPolicy(allowed_networks=(ipaddress.ip_network("10.0.0.0/8"),))
    assert read(policy, url="https://10.0.0.1").endpoint.host == "10.0.0.1"
    assert fault_of(policy, url="https://192.168.0.1").code == "address_refused"


class TestTokenOfTheEnvironment:
    def test_variable_then_the_one_that_is_named(self) -> None:
        assert read(apiKeyEnvVar="HF_TOKEN").token == "hf_other"
        assert read(apiKeyEnvVar="HF_API_KEY").token == TOKEN

    @pytest.mark.parametrize("value", ["", "s3cr3t", "hf_", "hf_s3cr3t\nX: y"])
    def test_useless_value_then_anonymous_with_a_warning(self, value: str) -> None:
        with capture_logs() as logs:
            assert read(environment={"HF_TOKEN": value}, apiKeyEnvVar="HF_TOKEN").token is None
        assert [log["log_level"] for log in logs] == ["warning"]
        assert "s3cr3t" not in repr(logs)

    def test_none_asked_for_and_none_there_then_anonymous_in_silence(self) -> None:
        with capture_logs() as logs:
            assert read(environment={}).token is None
        assert logs == []

    def test_custom_url_then_only_for_hosts_that_the_server_allows(self) -> None:
        url = "https://hub.example.com"
        assert read(url=url).token is None
        assert fault_of(url=url, apiKeyEnvVar="HF_API_KEY").code == "host_refused"
        assert fault_of(url=url, token=TOKEN).code == "host_refused"
        policy = HubPolicy(token_hosts=frozenset({"hub.example.com"}))
        assert read(policy, url=url).token == TOKEN
        assert read(policy, url="https://x.hub.example.com").token is None

    def test_public_hub_over_http_then_no_token(self) -> None:
        policy = HubPolicy(http_hosts=frozenset({"huggingface.co"}))
        assert read(policy, url="http://huggingface.co").token is None
