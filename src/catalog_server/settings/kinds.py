"""What the value of a setting may be: its kinds, the types that only settings need, and the errors of a wrong one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from catalog_server.errors import Invalid
from catalog_server.scope import check_namespace

DatabaseType = Literal["postgres", "mysql", "sqlite"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")
L = TypeVar("L", bound=str)


class SettingsError(Invalid):
    """A setting is wrong: the server must not start. The message is one line and holds no secret.

    `field` is the variable or flag that carried the value.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}", field=name, code="setting_invalid")


class UsageError(SettingsError):
    """The command line itself is wrong (an unknown flag, a flag without its value)."""


class TextRequested(Exception):
    """The command line asked for `--help` or `--version`; `text` is the answer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Secret:
    """A text that must not be shown. Only `reveal()` gives it back, so that each use can be found by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server accepts connections. An empty host means all interfaces, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A type of setting. `allowed` completes "use …"; `parse` raises ValueError, whose text is never shown."""

    name: str
    allowed: str
    parse: Callable[[str], T]
    secret: bool = False


_BOOLEANS = {"true": True, "t": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "f": False,
    "0": False,
    "no": False,
    "off": False,
}


def parse_boolean(text: str) -> bool:
    """The one boolean dialect of the product (the reference has two, spec platform.md D2)."""
    if text.lower() not in _BOOLEANS:
        raise ValueError("not a boolean")
    return _BOOLEANS[text.lower()]


def whole(low: int, high: int, unit: str = "") -> Kind[int]:
    def parse(text: str) -> int:
        # int() alone would also take "1_000" and digits of other scripts.
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None or not low <= int(text) <= high:
            raise ValueError("not in range")
        return int(text)

    return Kind("integer", f"a whole number from {low} to {high}" + (f" ({unit})" if unit else ""), parse)


def choice(*options: L) -> Kind[L]:
    by_name = {option.lower(): option for option in options}

    def parse(text: str) -> L:
        if text.lower() not in by_name:
            raise ValueError("not an option")
        return by_name[text.lower()]

    return Kind("choice", "one of " + ", ".join(options), parse)


def _matching(name: str, allowed: str, pattern: str, max_length: int = 253) -> Kind[str]:
    def parse(text: str) -> str:
        if len(text) > max_length or re.fullmatch(pattern, text) is None:
            raise ValueError("no match")
        return text

    return Kind(name, allowed, parse)


def _comma_list(name: str, allowed: str, parse_one: Callable[[str], T]) -> Kind[tuple[T, ...]]:
    def parse(text: str) -> tuple[T, ...]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        # A lone comma must not pass for "unset": an empty allow-list means that everything is allowed.
        if text and not parts:
            raise ValueError("no entries")
        return tuple(dict.fromkeys(parse_one(part) for part in parts))

    return Kind(name, f"a comma-separated list of {allowed}", parse)


def _parse_listen(text: str) -> Listen:
    match = re.fullmatch(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})", text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("not host:port")
    if match["v6"] is not None:
        ipaddress.IPv6Address(match["v6"])
    return Listen(match["v6"] or match["host"] or "", int(match["port"]))


def _parse_text(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control character")
    return text


def _parse_origin(text: str) -> str:
    if text != "*" and re.fullmatch(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", text.lower()) is None:
        raise ValueError("not an origin")
    return text.lower()


def _parse_host(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", text.lower()) is None:
        return str(ipaddress.IPv6Address(text))
    return text.lower()


def _parse_namespace(text: str) -> str:
    try:
        return check_namespace(text)
    except Invalid as error:
        raise ValueError("not a DNS label") from error


_SUBDOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_LABEL = "lower-case letters, digits and hyphens, first and last a letter or digit, at most 63 characters"

BOOLEAN = Kind("boolean", "true, false, 1, 0, t, f, yes, no, on or off, in any case", parse_boolean)
TEXT = Kind("text", "printable characters", _parse_text)
SECRET = Kind(
    "secret text", "a connection string of printable characters", lambda t: Secret(_parse_text(t)), secret=True
)
PATH = Kind("path", "a path of printable characters", lambda text: Path(_parse_text(text)))
OPTIONAL_PATH = Kind("path", PATH.allowed, lambda text: PATH.parse(text) if text else None)
PATHS = _comma_list("list of paths", "paths of printable characters", PATH.parse)
NAMESPACE = Kind("namespace", _LABEL, _parse_namespace)
NAMESPACES = _comma_list("list of namespaces", f"names: {_LABEL}", _parse_namespace)
NETWORKS: Kind[tuple[Network, ...]] = _comma_list(
    "list of networks",
    "IP addresses or networks such as 10.0.0.0/8",
    lambda text: ipaddress.ip_network(text, strict=False),
)
ORIGINS = _comma_list("list of origins", "*, http://host[:port] or https://host[:port]", _parse_origin)
HOSTS = _comma_list("list of hosts", "host names without a port", _parse_host)
LISTEN = Kind("address", ":port, host:port or [IPv6]:port with a port from 0 to 65535", _parse_listen)
OPTIONAL_LISTEN = Kind("address", LISTEN.allowed, lambda text: LISTEN.parse(text) if text else None)
KUBERNETES_NAME = _matching(
    "Kubernetes name", "lower-case letters, digits, hyphens and dots (DNS subdomain)", _SUBDOMAIN
)
KUBERNETES_KEY = _matching("Kubernetes key", "letters, digits, hyphens, underscores and dots", r"[-._a-zA-Z0-9]+")
CLAIM = _matching("claim path", "claim names joined by dots", r"[^.\s]+(\.[^.\s]+)*")
SECONDS = whole(1, 86_400, "seconds")
DAYS = whole(1, 36_500, "days")


_SCHEMES: dict[str, DatabaseType] = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}


def dsn_type(dsn: str) -> DatabaseType | None:
    """The database type that the form of `dsn` implies, or None if it has no form known here."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", dsn.strip().lower())
    if scheme and scheme[1] in _SCHEMES:
        return _SCHEMES[scheme[1]]
    if scheme is None and re.match(r"[a-z_]+\s*=", dsn.strip()):
        return "postgres"
    # The Go form. It may look like an unknown scheme when its password begins with "//".
    go_form = r"(^|@)(tcp|unix)\(" if scheme else r"(^|@)((tcp|unix)[(/]|/[^/]*$)"
    return "mysql" if re.search(go_form, dsn.strip()) else None
