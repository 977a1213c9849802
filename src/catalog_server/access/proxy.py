"""Whose identity headers count: those of the proxies in front of the server (spec platform.md 4.1, D23).

Not for: reading the headers (http/middleware/identity.py), and tokens (tokens.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_KEPT_PEERS: Final = 1024


class TrustedPeers:
    """The addresses of `networks`. An IPv4 peer is itself also on a socket that speaks both (`::ffff:10.0.0.1`)."""

    def __init__(self, networks: Collection[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._judged = lru_cache(maxsize=_KEPT_PEERS)(self._judge)

    def has(self, host: str | None) -> bool:
        """Whether the peer at this address is one; no address (a Unix socket) is none."""
        return host is not None and self._judged(host)

    def _judge(self, host: str) -> bool:
        try:
            address: IPv4Address | IPv6Address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        forms = [one for one in (address, mapped) if one is not None]
        return any(one in network for one in forms for network in self._networks)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderTrust:
    """Which headers that name a caller count, and of whom."""

    peers: TrustedPeers | None
    """None: of everybody."""
    honours_role: bool
    """Whether `X-User-Role` counts, of these peers."""
    honours_principal: bool
    """Whether `X-User-Principal` names the user where `X-Remote-User` is not there."""
