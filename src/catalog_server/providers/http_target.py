"""Where an HTTP request goes: a URL taken apart and checked. No name is resolved here (http_guard.py does that).

Only spellings with one meaning are let through: what we check, what is resolved, and what the server reads as `Host`
must be the same. So no user in the URL, no spaces or backslashes, no host that a resolver would read as a number.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

LONGEST_URL: Final = 4096
_PORTS: Final = {"http": 80, "https": 443}
_UNFIT: Final = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}]")
_SAFE_IN_LOCATION: Final = "!#$%&'()*+,/:;=?@[]~"
_NETWORK_LOCATION: Final = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME: Final = 253
_NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """`host` is a name in lower case or an address in its usual form; `query` may hold a secret."""

    scheme: str
    host: str
    port: int
    path: str
    query: str | None = field(default=None, repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """The place that a source's headers and credentials are meant for."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """What messages and provenance call it: without the query."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def request_path(self) -> str:
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def digest(self) -> str:
        """Tells two targets apart without saying what the query is."""
        return hashlib.sha256(f"{self.shown}\0{self.request_path}".encode()).hexdigest()

    def follow(self, location: str) -> Target:
        """Where the header `Location` of an answer from here leads. Raises ValueError as parse_target does."""
        if not location.strip():
            raise ValueError("is missing")
        try:
            # Header fields come as Latin-1; what servers write there unquoted is UTF-8 as a rule, and stays that.
            quoted = quote(location.strip().encode("latin-1"), safe=_SAFE_IN_LOCATION)
            joined = urljoin(f"{self.scheme}://{self.authority}{self.request_path}", quoted)
        except ValueError:  # a UnicodeEncodeError is one as well
            raise ValueError("is no URL") from None
        return parse_target(joined.partition("#")[0])


def parse_target(url: str) -> Target:
    """Raises ValueError with a problem that reads on from the name of the property; it never repeats the URL."""
    parts = _split(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password; use auth, best with a reference to a secret")
    if "#" in url:
        raise ValueError("must not hold a fragment: no server gets to see what stands after '#'")
    location = _NETWORK_LOCATION.fullmatch(parts.netloc)
    if location is None:
        raise ValueError(f"must have the form {scheme}://host/path")
    port = _PORTS[scheme] if location["port"] is None else int(location["port"])
    if not 0 < port < 65536:
        raise ValueError("has a port that is not between 1 and 65535")
    host = _check_ipv6(location["ipv6"]) if location["ipv6"] else _check_name(location["name"])
    return Target(scheme, host, port, parts.path or "/", parts.query if "?" in url else None)


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL:
        raise ValueError(f"must have at most {LONGEST_URL} characters")
    if _UNFIT.search(url):
        raise ValueError("holds a character that a URL has to spell as %xx, such as a space")
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("is no URL") from None


def _check_ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("has a host in brackets that is no IPv6 address") from None


def _check_name(name: str) -> str:
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("has a host that cannot be the name of one")
    if _NUMBER.fullmatch(labels[-1]):  # resolvers read 127.1, 0x7f.0.0.1, 2130706433 and 0177.0.0.1 as addresses
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise ValueError("has a host in an odd form of an IPv4 address; write it as four decimal numbers") from None
    return name.lower()
