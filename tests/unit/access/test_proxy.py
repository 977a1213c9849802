"""Which peers are proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from catalog_server.access.proxy import TrustedPeers


@pytest.mark.parametrize(
    ("network", "peer", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("10.0.0.1/32", "10.0.0.1", True),
        ("10.0.0.1/32", "10.0.0.2", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "fe80::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::1/128", "::1", True),
        ("::1/128", "127.0.0.1", False),
        ("::ffff:0:0/96", "::ffff:10.0.0.1", True),
        ("0.0.0.0/0", "::1", False),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "testclient", False),
        ("0.0.0.0/0", "10.0.0.1, 10.0.0.2", False),
    ],
)
def test_peer_is_trusted_by_its_address_alone(network: str, peer: str, expected: bool) -> None:
    assert TrustedPeers([ip_network(network)]).has(peer) is expected


def test_peer_without_an_address_is_not_trusted() -> None:
    assert not TrustedPeers([ip_network("0.0.0.0/0"), ip_network("::/0")]).has(None)


def test_any_of_the_networks_will_do() -> None:
    peers = TrustedPeers([ip_network("10.0.0.0/8"), ip_network("192.168.1.0/24")])
    assert [peers.has(one) for one in ("10.0.0.1", "192.168.1.9", "192.168.2.9", "10.0.0.1")] == [
        True,
        True,
        False,
        True,
    ]
