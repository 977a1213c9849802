"""Which addresses a source may lead to over HTTP: public ones, and those of networks that the operator allows.

A URL in a configuration must not reach what only this machine or its cluster can reach (metadata of the cloud, a
database, a console). So we resolve the host ourselves, refuse it when any of its addresses is special, and whoever
connects uses exactly the addresses that come out of here: a name that changes its mind in between gains nothing.
Not for: what a URL may look like (http_target.py).
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from queue import Empty, SimpleQueue
from typing import Final

from catalog_server.errors import Invalid
from catalog_server.providers.deadline import Deadline
from catalog_server.providers.http_target import Target

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""From host and port to addresses. Raises OSError when there are none."""

_MOST_ADDRESSES: Final = 16
# IANA's registry of special addresses, written down here because the `is_...` of ipaddress differ between releases.
_SPECIAL_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # looks public, and is where a machine in Azure finds its own agent
    )
)
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
_SPECIAL_IPV6: Final = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_NAT64: Final = IPv6Network("64:ff9b::/96")


class HostUnknown(Exception):
    """The name of a host has no address, as far as the resolver can tell now."""


class AddressGuard:
    """`allowed` networks are let through although they are special."""

    def __init__(self, allowed: Collection[Network], resolve: Resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def check_literal(self, target: Target) -> None:
        """Judge a host that is an address; a name can be judged only once it is resolved. Raises Invalid."""
        try:
            address = ipaddress.ip_address(target.host)
        except ValueError:
            return
        self._check(address, target.host)

    def find_addresses(self, target: Target, deadline: Deadline) -> tuple[str, ...]:
        """The addresses to connect to, in the resolver's order.

        Raises:
            Invalid: one of them is special and not allowed.
            HostUnknown: there are none.
            TimeoutError: there are none yet.
        """
        try:
            addresses: Sequence[Address] = (ipaddress.ip_address(target.host),)
        except ValueError:
            addresses = self._resolve_in_time(target, deadline)
        for address in addresses:
            self._check(address, target.host)
        return tuple(dict.fromkeys(map(str, addresses)))[:_MOST_ADDRESSES]

    def _check(self, address: Address, host: str) -> None:
        # Without the address: which names resolve to what inside is no business of a client.
        if not self._is_allowed(address):
            problem = (
                f"the host {host!r} has an address that is not public; the settings of the server can allow its network"
            )
            raise Invalid(problem, field="properties.url", code="address_refused")

    def _is_allowed(self, address: Address) -> bool:
        inner = carried_address(address)
        if any(one in network for one in (address, inner) if one is not None for network in self._allowed):
            return True
        return is_public(address if inner is None else inner)

    def _resolve_in_time(self, target: Target, deadline: Deadline) -> Sequence[Address]:
        """The resolver of the system cannot be told to stop; left alone, it ends by its own patience."""
        answer: SimpleQueue[Sequence[Address]] = SimpleQueue()

        def resolve() -> None:
            try:
                answer.put([ipaddress.ip_address(text) for text in self._resolve(target.host, target.port)])
            except (OSError, ValueError):
                answer.put(())

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        found = None
        while found is None:
            with suppress(Empty):
                found = answer.get(timeout=deadline.slice())
        if not found:
            raise HostUnknown(target.host)
        return found


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Ask the system: hosts file, DNS, whatever it is set up for."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet at large."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def carried_address(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, through NAT64, or 6to4."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
