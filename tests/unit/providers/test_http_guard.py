"""Which addresses are public, and what the guard lets through. Names are resolved by fakes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from catalog_server.errors import Invalid
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_guard import AddressGuard, HostUnknown, is_public
from catalog_server.providers.http_target import parse_target

SPECIAL = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
    *("2001::1", "2001:10::1", "3fff::1", "5f00::1", "64:ff9b:1::1", "4000::1"),
    *("10.1.2.3", "224.0.0.1", "fc00::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
)
CARRIERS = ("::ffff:{}", "64:ff9b::{}")
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888")


def find(*addresses: str, allowed: Sequence[str] = (), host: str = "example.com") -> tuple[str, ...]:
    guard = AddressGuard([ip_network(one) for one in allowed], lambda host, port: addresses)
    return guard.find_addresses(parse_target(f"http://{host}/"), Deadline.after(5))


@pytest.mark.parametrize("address", SPECIAL)
def test_special_address_then_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(Invalid) as caught:
        find("8.8.8.8", address, "1.1.1.1")
    assert caught.value.field == "properties.url"
    assert caught.value.code == "address_refused"
    assert "not public" in caught.value.message
    assert "'example.com'" in caught.value.message
    assert address not in caught.value.message


@pytest.mark.parametrize("address", [one for one in SPECIAL if ":" not in one])
def test_special_address_inside_an_ipv6_one_then_refused(address: str) -> None:
    six_to_four = f"2002:{int(ip_address(address)) >> 16:x}:{int(ip_address(address)) & 0xFFFF:x}::1"
    for form in (*(carrier.format(address) for carrier in CARRIERS), six_to_four):
        with pytest.raises(Invalid):
            find(form)


@pytest.mark.parametrize("address", [*PUBLIC, "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"])
def test_public_address_then_let_through(address: str) -> None:
    assert find(address, address) == (str(ip_address(address)),)


def test_allowed_network_then_also_in_its_ipv6_forms_and_nothing_beside() -> None:
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"):
        assert find(address, allowed=("10.1.0.0/16",))
        with pytest.raises(Invalid):
            find(address, allowed=("10.2.0.0/16", "fd00::/8"))
    assert find("fd00::1", allowed=("fd00::/8",)) == ("fd00::1",)
    with pytest.raises(Invalid):
        find("10.1.2.3", "10.2.0.1", allowed=("10.1.0.0/16",))


def test_resolver_hangs_and_the_fetch_is_given_up_then_no_more_waiting() -> None:
    class GivenUp(BaseException):
        pass

    def give_up() -> None:
        raise GivenUp

    hanging = threading.Event()
    guard = AddressGuard((), lambda host, port: ["8.8.8.8"] if hanging.wait(5) else [])
    with pytest.raises(GivenUp):
        guard.find_addresses(parse_target("http://example.com/"), Deadline.after(5, give_up))
    hanging.set()


def test_host_that_is_an_address_then_not_resolved() -> None:
    assert find("10.0.0.1", host="8.8.8.8") == ("8.8.8.8",)
    with pytest.raises(Invalid):
        find("8.8.8.8", host="10.0.0.1")
    with pytest.raises(Invalid):
        find("8.8.8.8", host="[::1]")


def test_check_of_a_url_then_only_addresses_are_judged() -> None:
    guard = AddressGuard((), lambda host, port: ["10.0.0.1"])
    guard.check_literal(parse_target("http://example.com/"))
    guard.check_literal(parse_target("http://8.8.8.8/"))
    with pytest.raises(Invalid):
        guard.check_literal(parse_target("http://[::ffff:10.0.0.1]/"))


@pytest.mark.parametrize("addresses", [(), ("nonsense",)])
def test_no_address_then_unknown(addresses: tuple[str, ...]) -> None:
    with pytest.raises(HostUnknown):
        find(*addresses)
