"""What all who speak HTTP share: when to come back, and what a broken connection is called."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from http.client import BadStatusLine
from ipaddress import ip_network

import pytest

from catalog_server.providers.http_body import EndsEarly
from catalog_server.providers.http_connection import Connector, explain, read_retry_after
from catalog_server.providers.http_guard import AddressGuard, HostUnknown, resolve_host
from catalog_server.providers.http_source import TLSChoice
from tests.unit.providers.heads import head

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0),
        ("120", 120),
        ("999999999", 86400),
        ("9" * 5000, None),
        ("Mon, 06 May 2024 07:09:09 GMT", 60),
        ("Mon, 06 May 2024 07:09:09 -0000", 60),
        ("Sun, 05 May 2024 07:09:09 GMT", 0),
        ("Mon, 06 May 2090 07:09:09 GMT", 86400),
        ("Mon, 99 May 2024 07:09:09 GMT", None),
    ],
)
def test_retry_after_then_seconds(given: str, seconds: float | None) -> None:
    assert read_retry_after(head(Retry_After=given), NOW) == seconds


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "the host 'h' does not answer"),
        (ConnectionRefusedError(111, "Connection refused"), "the host 'h' cannot be reached: Connection refused"),
        (OSError("no address"), "the host 'h' cannot be reached"),
        (BadStatusLine("secret"), "the host 'h' broke off the connection, or does not speak HTTP"),
        (EndsEarly(), "the host 'h' broke off the connection, or does not speak HTTP"),
        (ssl.SSLError(1, "wrong version"), "the host 'h' does not speak TLS as we do"),
        (HostUnknown("h"), "the name of the host 'h' cannot be resolved"),
    ],
)
def test_broken_then_in_words_of_ours(error: Exception, words: str) -> None:
    assert explain(error, "h") == words


def test_trust_store_then_kept_and_never_mixed_up() -> None:
    """Loading it for each request would cost more than the request."""
    connector = Connector(AddressGuard([ip_network("127.0.0.0/8")], resolve_host))
    system = connector.tls_context(TLSChoice())
    assert connector.tls_context(TLSChoice()) is system
    assert system.verify_mode is ssl.CERT_REQUIRED
    unverified = connector.tls_context(TLSChoice(is_verified=False))
    assert unverified is not system
    assert unverified.verify_mode is ssl.CERT_NONE
