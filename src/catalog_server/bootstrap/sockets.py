"""Sockets that listen, opened before anything else so that an address in use stops the start."""

from __future__ import annotations

import socket

from catalog_server.errors import Invalid
from catalog_server.settings import Listen

_BACKLOG = 2048


def open_socket(listen: Listen) -> socket.socket:
    """Bind and listen. No host means all interfaces, by IPv6 and IPv4 where the machine has both.

    Raises:
        Invalid: the address is in use, not ours, or not known.
    """
    try:
        return _open(listen)
    except OSError as error:
        raise Invalid(f"cannot listen on {listen}: {error.strerror or error}") from error


def _open(listen: Listen) -> socket.socket:
    if not listen.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", listen.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    found = socket.getaddrinfo(listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family, backlog=_BACKLOG)
