"""Which network addresses a hub may have: public ones, and those that the operator opened.

A source's `url` is text that a tenant may have written, so its host is resolved here, and the connection goes to the
very addresses that were judged: a name that resolves differently the next moment leads nowhere else. For the `hf`
provider only; the client in hf_client.py calls it once for each connection.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Final

from catalog_server.errors import Invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def resolve_host(host: str, port: int, allowed: Collection[Network]) -> tuple[str, ...]:
    """The addresses of `host`, in the order in which to try them.

    Raises:
        OSError: the name does not resolve.
        Invalid: one of the addresses is neither public nor inside `allowed`.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check_address(ipaddress.ip_address(address.partition("%")[0]), allowed)
    return addresses


def check_address(address: Address, allowed: Collection[Network]) -> None:
    """Raises Invalid. The message does not say what a name resolved to: that is no business of a client."""
    meant = _embedded(address)
    if any(meant in network for network in allowed):
        return
    if not meant.is_global or meant.is_multicast:
        raise Invalid(
            "'url' leads to an address that is not public; the settings of the server can allow its network",
            field="properties.url",
            code="address_refused",
        )


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one is only a wrapping of."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
