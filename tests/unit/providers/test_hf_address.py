"""Which addresses a hub may have. Names are resolved in tests/contract/providers/test_huggingface.py only."""

from __future__ import annotations

import ipaddress

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.hf_address import check_address

REFUSED = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "64:ff9b::a9fe:a9fe"),
]


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public_then_refused(address: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_address(ipaddress.ip_address(address), ())
    assert caught.value.field == "properties.url"
    assert caught.value.code == "address_refused"
    assert address not in caught.value.message


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_address_then_taken(address: str) -> None:
    check_address(ipaddress.ip_address(address), ())


def test_allowed_network_then_taken_in_every_spelling() -> None:
    allowed = [ipaddress.ip_network("10.0.0.0/8")]
    check_address(ipaddress.ip_address("10.1.2.3"), allowed)
    check_address(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)
    with pytest.raises(Invalid):
        check_address(ipaddress.ip_address("192.168.0.1"), allowed)
