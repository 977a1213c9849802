"""All settings of the server process, and the only place that reads the environment.

Each setting is declared once, as a field of a group below: its flag and variable, default, kind (type and limits) and
purpose. `TABLE` is those fields in order; parsing, `--help` and docs/reference/settings.md derive from it. The
docstring under a field gives the unit and the reason of the default.

Not here: what a connection string means beyond its database type (db/dsn.py), and what the files named here contain.
"""

# ruff: noqa: RUF009
# `_active` and `_later` are field specifiers: they return dataclasses.field(...), once per field.

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, NoReturn, TypeVar, cast, get_type_hints
from urllib.parse import quote

from catalog_server import __version__
from catalog_server.errors import Invalid
from catalog_server.scope import check_namespace

DatabaseType = Literal["postgres", "mysql", "sqlite"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Derive = Callable[[Mapping[str, Any], Mapping[str, str]], Any]
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


# --- Kinds: what a value may be -------------------------------------------------------------------------------------


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


def _whole(low: int, high: int, unit: str = "") -> Kind[int]:
    def parse(text: str) -> int:
        # int() alone would also take "1_000" and digits of other scripts.
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None or not low <= int(text) <= high:
            raise ValueError("not in range")
        return int(text)

    return Kind("integer", f"a whole number from {low} to {high}" + (f" ({unit})" if unit else ""), parse)


def _choice(*options: L) -> Kind[L]:
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
LISTEN = Kind("address", ":port, host:port or [IPv6]:port with a port from 0 to 65535", _parse_listen)
KUBERNETES_NAME = _matching(
    "Kubernetes name", "lower-case letters, digits, hyphens and dots (DNS subdomain)", _SUBDOMAIN
)
KUBERNETES_KEY = _matching("Kubernetes key", "letters, digits, hyphens, underscores and dots", r"[-._a-zA-Z0-9]+")
CLAIM = _matching("claim path", "claim names joined by dots", r"[^.\s]+(\.[^.\s]+)*")
SECONDS = _whole(1, 86_400, "seconds")
DAYS = _whole(1, 36_500, "days")


# --- The table: one entry per setting -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is the text that an operator would write, or says how it is derived.

    `names` holds the variable and the flag; `path` is `group.field`, filled in by `_build_table`.
    """

    names: str
    default: str
    kind: Kind[Any]
    purpose: str
    active: bool
    derive: Derive | None
    path: str = ""

    @property
    def flag(self) -> str | None:
        return next((name for name in self.names.split() if name.startswith("-")), None)

    @property
    def variable(self) -> str | None:
        return next((name for name in self.names.split() if not name.startswith("-")), None)

    @property
    def since(self) -> str:
        return "active" if self.active else "validated now, used by a later release"


def _active(names: str, default: str, kind: Kind[T], purpose: str, derive: Derive | None = None) -> T:
    """Declare a setting that this release acts on. `derive` computes the default from the settings above it."""
    return cast(T, _declared(Setting(names, default, kind, purpose, True, derive)))


def _later(names: str, default: str, kind: Kind[T], purpose: str, derive: Derive | None = None) -> T:
    """Declare a setting that is validated now and used by a later release."""
    return cast(T, _declared(Setting(names, default, kind, purpose, False, derive)))


def _declared(row: Setting) -> Any:
    if row.derive is not None:
        return field(metadata={"setting": row})
    return field(default=row.kind.parse(row.default), metadata={"setting": row})


def _default_data_dir(values: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    # The XDG rule: a relative XDG_DATA_HOME is to be ignored.
    base = environ.get("XDG_DATA_HOME", "")
    home = environ.get("HOME", "")
    if os.path.isabs(base):
        return Path(base) / "catalog-server"
    if os.path.isabs(home):
        return Path(home) / ".local/share/catalog-server"
    raise SettingsError(
        "CATALOG_DATA_DIR", "not set, and there is no HOME folder to derive it from; set it to a folder"
    )


def _default_data_roots(values: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Path, ...]:
    folders = [Path(os.path.abspath(file)).parent for file in values["paths.sources"]]
    beside = [root for folder in folders for root in (folder, folder.parent / "plugins")]
    return tuple(dict.fromkeys([*beside, Path("/plugins"), Path("/sample-repos")]))


def _embedded_dsn(values: Mapping[str, Any], environ: Mapping[str, str]) -> Secret:
    return Secret("sqlite:///" + quote(str(values["paths.data_dir"] / "catalog.db")))


def _type_of_dsn(values: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    return dsn_type(values["database.dsn"].reveal())


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
    go_form = r"(^|@)(tcp|unix)\(" if scheme else r"(^|@)((tcp|unix)\(|/[^/]*$)"
    return "mysql" if re.search(go_form, dsn.strip()) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """The HTTP edge."""

    listen: Listen = _active("--listen", ":8080", LISTEN, "Address to accept HTTP connections on.")
    """All interfaces, because a container is reached from outside; 8080 needs no privileges."""
    cors_origins: tuple[str, ...] = _active(
        "CATALOG_CORS_ORIGINS", "*", ORIGINS, "Web origins whose scripts may call the API."
    )
    """`*` is any http or https origin: no cookies are involved, so the browser adds no rights to a script."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Logging:
    """What the process writes about itself."""

    format: Literal["auto", "json", "text"] = _active(
        "CATALOG_LOG_FORMAT", "auto", _choice("auto", "json", "text"), "Form of the log lines."
    )
    """`auto`: text on a terminal, JSON elsewhere, so that neither people nor collectors have to configure it."""
    level: Literal["debug", "info", "warning", "error"] = _active(
        "CATALOG_LOG_LEVEL", "info", _choice("debug", "info", "warning", "error"), "Least level written."
    )
    """`info` is one line per request and per change of state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """Files and folders."""

    sources: tuple[Path, ...] = _active("--sources", "/config/sources.yaml", PATHS, "Source files.")
    """Repeat the flag or give a comma list. The default is where the image and the manifests mount it."""
    watch_enabled: bool = _active("CATALOG_WATCH_ENABLED", "true", BOOLEAN, "Reload changed source files.")
    """On: an edit is visible without a restart. Turn it off where file events are unreliable or costly."""
    data_dir: Path = _active(
        "CATALOG_DATA_DIR",
        "$XDG_DATA_HOME/catalog-server or ~/.local/share/catalog-server",
        PATH,
        "Folder of the embedded database and of the document spool.",
        derive=_default_data_dir,
    )
    """Must be writable. The user's data folder, so that a first run needs no privileges."""
    data_roots: tuple[Path, ...] = _active(
        "CATALOG_DATA_ROOTS",
        "the folder of each source file, `plugins` beside that folder, /plugins, /sample-repos",
        PATHS,
        "Folders that sources may read files from.",
        derive=_default_data_roots,
    )
    """An allow-list: a source must not read any file of the host. The default fits the shipped layout."""
    secrets_dir: Path | None = _later("CATALOG_SECRETS_DIR", "", OPTIONAL_PATH, "Folder with secrets as <name>/<key>.")
    """Unset: secret references cannot be resolved from files. There is no folder that is safe to assume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on what the server takes in."""

    max_file_bytes: int = _active(
        "CATALOG_MAX_FILE_BYTES", "33554432", _whole(1, 2**31, "bytes"), "Largest data file that is read."
    )
    """Bytes. 32 MiB is far above hand-written catalogs and fits the memory limit of the manifests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Where entities are kept."""

    dsn: Secret = _active(
        "DATABASE_DSN --db-dsn",
        "SQLite file catalog.db in CATALOG_DATA_DIR",
        SECRET,
        "Connection string of the database.",
        derive=_embedded_dsn,
    )
    """Prefer the variable: a flag is visible in the process list. No DSN gives the embedded database."""
    type: DatabaseType = _active(
        "DATABASE_TYPE --db-type",
        "what the DSN says",
        _choice("postgres", "mysql", "sqlite"),
        "Type of the database.",
        derive=_type_of_dsn,
    )
    """Only needed to be explicit: a type that contradicts the DSN stops the start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """Changes of the database schema at start."""

    lock_enabled: bool = _later("CATALOG_MIGRATION_LOCK_ENABLED", "true", BOOLEAN, "One replica migrates at a time.")
    """On, because it costs a single replica nothing and saves several from racing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigStore:
    """Where changes of the source configuration are kept."""

    mode: Literal["file", "k8s", "none"] = _later(
        "CATALOG_CONFIG_STORE_MODE --config-store", "file", _choice("file", "k8s", "none"), "Where changes are kept."
    )
    """`file` writes the source file back, `k8s` a ConfigMap, `none` keeps nothing."""
    namespace: str = _later("CATALOG_CONFIG_NAMESPACE", "default", NAMESPACE, "Namespace of ConfigMap and secrets.")
    """`default` is what existing installations rely on; set it to the namespace of the pod."""
    configmap_name: str = _later(
        "CATALOG_CONFIG_CONFIGMAP_NAME", "catalog-sources", KUBERNETES_NAME, "ConfigMap to use."
    )
    """The name in the shipped manifests."""
    configmap_key: str = _later("CATALOG_CONFIG_CONFIGMAP_KEY", "sources.yaml", KUBERNETES_KEY, "Key in the ConfigMap.")
    """The name that the file has when the ConfigMap is mounted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenancy:
    """Who shares the server."""

    mode: Literal["single", "namespace"] = _later(
        "CATALOG_TENANCY_MODE", "single", _choice("single", "namespace"), "One tenant, or one per namespace."
    )
    """`single` needs no namespace in a request, as clients of a one-team server expect."""
    namespaces: tuple[str, ...] = _later("CATALOG_NAMESPACES", "", NAMESPACES, "Allowed namespaces (namespace mode).")
    """Empty: any well-formed namespace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorization:
    """Who may do what."""

    mode: Literal["none", "sar"] = _later(
        "CATALOG_AUTHZ_MODE", "none", _choice("none", "sar"), "No check by Kubernetes, or SubjectAccessReview."
    )
    """`none` because `sar` needs a cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authentication:
    """Who the caller is."""

    mode: Literal["header", "jwt"] = _later(
        "CATALOG_AUTH_MODE", "header", _choice("header", "jwt"), "Where the role of a caller comes from."
    )
    """`header` (X-User-Role) can be forged: for development, or behind a proxy that sets it."""
    allow_header: bool = _later("CATALOG_ALLOW_HEADER_AUTH", "false", BOOLEAN, "Header mode beyond loopback.")
    """Off: a forgeable role on a reachable port has to be asked for."""
    trusted_proxies: tuple[Network, ...] = _later(
        "CATALOG_TRUSTED_PROXIES", "", NETWORKS, "Peers whose X-Remote-* count."
    )
    """Empty: nobody, because anybody can send the headers."""
    jwt_role_claim: str = _later("CATALOG_JWT_ROLE_CLAIM", "role", CLAIM, "Claim that holds the role.")
    """A dotted path reaches into objects, for example `realm_access.roles`."""
    jwt_operator_value: str = _later("CATALOG_JWT_OPERATOR_VALUE", "operator", TEXT, "Claim value of an operator.")
    """Compared without regard to case."""
    jwt_public_key_path: Path | None = _later("CATALOG_JWT_PUBLIC_KEY_PATH", "", OPTIONAL_PATH, "RSA public key (PEM).")
    """Required in `jwt` mode, unless unverified tokens are allowed."""
    jwt_issuer: str = _later("CATALOG_JWT_ISSUER", "", TEXT, "Expected `iss` of a token.")
    """Empty: not checked."""
    jwt_audience: str = _later("CATALOG_JWT_AUDIENCE", "", TEXT, "Expected `aud` of a token.")
    """Empty: not checked."""
    jwt_allow_unverified: bool = _later(
        "CATALOG_JWT_ALLOW_UNVERIFIED", "false", BOOLEAN, "Accept tokens without a key."
    )
    """Off: only right behind a proxy that has verified the token already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The record of changes."""

    enabled: bool = _later("CATALOG_AUDIT_ENABLED", "true", BOOLEAN, "Record changes made over HTTP.")
    """On: a record that starts after the incident is of no use."""
    retention_days: int = _later("CATALOG_AUDIT_RETENTION_DAYS", "90", DAYS, "How long audit events are kept.")
    """Days. A quarter, the usual span of an access review."""
    log_denied: bool = _later("CATALOG_AUDIT_LOG_DENIED", "true", BOOLEAN, "Record denied changes (403) too.")
    """On: denied attempts are what a review looks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Refreshes in the background."""

    enabled: bool = _later("CATALOG_JOB_ENABLED", "true", BOOLEAN, "Refresh sources in background jobs.")
    """On: a slow source must not hold a request."""
    concurrency: int = _later("CATALOG_JOB_CONCURRENCY", "3", _whole(1, 256), "Jobs at the same time, per replica.")
    """Jobs wait for the network most of the time; three leave CPU for requests."""
    max_retries: int = _later("CATALOG_JOB_MAX_RETRIES", "3", _whole(0, 100), "Attempts per refresh job.")
    """0 is allowed. Three outlive a short outage without hiding a lasting one."""
    poll_interval_seconds: int = _later(
        "CATALOG_JOB_POLL_INTERVAL_SECONDS", "5", SECONDS, "Pause between looks for jobs."
    )
    """Seconds. Short enough to feel prompt, long enough to be no load."""
    claim_timeout_minutes: int = _later(
        "CATALOG_JOB_CLAIM_TIMEOUT_MINUTES", "10", _whole(1, 10_080, "minutes"), "When a running job counts as stuck."
    )
    """Minutes. Longer than any healthy refresh."""
    retention_days: int = _later("CATALOG_JOB_RETENTION_DAYS", "7", DAYS, "How long finished jobs are kept.")
    """Days. A week covers a weekend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """Answers kept in memory."""

    enabled: bool = _later("CATALOG_CACHE_ENABLED", "true", BOOLEAN, "Cache the discovery answers.")
    """On: clients ask for them on every start."""
    discovery_ttl_seconds: int = _later("CATALOG_CACHE_DISCOVERY_TTL", "60", SECONDS, "Life of the plugin list.")
    """Seconds. The list changes with a release only."""
    capabilities_ttl_seconds: int = _later("CATALOG_CACHE_CAPABILITIES_TTL", "30", SECONDS, "Life of capabilities.")
    """Seconds. Shorter than the list, because sources change what a plugin can do."""
    max_entries: int = _later("CATALOG_CACHE_MAX_SIZE", "1000", _whole(1, 10_000_000), "Entries per cache.")
    """More than there are distinct discovery answers."""
    response_bytes: int = _active(
        "CATALOG_RESPONSE_CACHE_BYTES", "16777216", _whole(0, 2**34, "bytes; 0 = off"), "Room for answers."
    )
    """Bytes. 16 MiB holds the hot pages of a large catalog and stays small against the pod's memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaderElection:
    """Which replica runs the loops that may run once only."""

    enabled: bool = _later("CATALOG_LEADER_ELECTION_ENABLED", "false", BOOLEAN, "Elect a leader with a Lease.")
    """Off: one replica needs no leader, and a Lease needs a cluster."""
    pod_name: str = _later(
        "POD_NAME",
        "the host name",
        TEXT,
        "Identity of this replica.",
        derive=lambda v, e: socket.gethostname() or "unknown",
    )
    """Kubernetes sets the host name to the pod's name; must differ between replicas."""
    pod_namespace: str = _later("POD_NAMESPACE", "catalog-system", NAMESPACE, "Namespace that the pod runs in.")
    """The namespace of the shipped manifests."""
    lease_name: str = _later(
        "CATALOG_LEADER_LEASE_NAME", "catalog-server-leader", KUBERNETES_NAME, "Name of the Lease."
    )
    """The name in the shipped Role."""
    lease_namespace: str = _later(
        "CATALOG_LEADER_LEASE_NAMESPACE",
        "POD_NAMESPACE",
        NAMESPACE,
        "Namespace of the Lease.",
        derive=lambda values, environ: values["leader_election.pod_namespace"],
    )
    """Where the pod's own Role applies."""
    lease_duration_seconds: int = _later("CATALOG_LEADER_LEASE_DURATION", "15", SECONDS, "Life of an unrenewed Lease.")
    """Seconds; must exceed the renew deadline. A dead leader is replaced after this time."""
    renew_deadline_seconds: int = _later(
        "CATALOG_LEADER_RENEW_DEADLINE", "10", SECONDS, "When a leader gives up renewing."
    )
    """Seconds; must exceed the retry period. The leader has stopped before another one can start."""
    retry_period_seconds: int = _later("CATALOG_LEADER_RETRY_PERIOD", "2", SECONDS, "Pause between attempts.")
    """Seconds. Several attempts fit into the renew deadline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Governance:
    """Files of the governance rules."""

    config: Path = _later("CATALOG_GOVERNANCE_CONFIG", "/config/governance.yaml", PATH, "Governance rules.")
    """Beside the source file in the image."""
    approval_policies: Path = _later(
        "CATALOG_APPROVAL_POLICIES", "/config/approval-policies.yaml", PATH, "Approval policies."
    )
    """Beside the source file in the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that an operator can set, checked. `not_active_yet` names given settings without effect so far."""

    server: Server
    logging: Logging
    paths: Paths
    limits: Limits
    database: Database
    migration: Migration
    config_store: ConfigStore
    tenancy: Tenancy
    authorization: Authorization
    authentication: Authentication
    audit: Audit
    jobs: Jobs
    cache: Cache
    leader_election: LeaderElection
    governance: Governance
    not_active_yet: tuple[str, ...] = ()


GROUPS: dict[str, type[Any]] = {
    name: hint for name, hint in get_type_hints(Settings).items() if isinstance(hint, type) and is_dataclass(hint)
}


def _build_table() -> tuple[Setting, ...]:
    return tuple(
        replace(declared.metadata["setting"], path=f"{group}.{declared.name}")
        for group, group_type in GROUPS.items()
        for declared in fields(group_type)
    )


TABLE: tuple[Setting, ...] = _build_table()


# --- Command line ---------------------------------------------------------------------------------------------------


def usage_text(*, with_variables: bool = True) -> str:
    """The text of `--help`; without the variables it is what a wrong command line gets to see."""
    lines = ["usage: catalog-server [--flag value | --flag=value ...]", "", "Flags:"]
    lines += [f"  {row.flag:<16}{row.purpose} Default: {row.default}." for row in TABLE if row.flag]
    lines += [f"  {'--help':<16}Show all settings.", f"  {'--version':<16}Show the version."]
    if with_variables:
        lines += ["", "Variables (a flag wins over its variable; an empty value counts as unset):"]
        for row in (row for row in TABLE if row.variable):
            later = "" if row.active else " Used by a later release."
            lines += [f"  {row.variable}", f"      {row.purpose} Default: {row.default or 'none'}.{later}"]
            lines += [f"      Use {row.kind.allowed}."]
    return "\n".join(lines) + "\n"


def _parse_flags(argv: Sequence[str]) -> dict[str, str]:
    """Flag → value, in the manner of Go: one or two dashes, `-name value` or `-name=value`, the last one wins."""
    flags = {row.flag: row for row in TABLE if row.flag}
    given: dict[str, str] = {}
    words = iter(enumerate(argv, start=1))
    for number, word in words:
        match = re.fullmatch(r"--?([A-Za-z][A-Za-z0-9-]*)(?:=(.*))?", word, flags=re.DOTALL)
        if match is None:
            # Not echoed: it may be a connection string that lost its flag.
            raise UsageError(f"argument {number}", "is not a flag; flags are --name value or --name=value")
        name = f"--{match[1]}"
        if name in ("--help", "--h"):
            raise TextRequested(usage_text())
        if name == "--version":
            raise TextRequested(f"catalog-server {__version__}\n")
        if name not in flags:
            raise UsageError(name, "unknown flag")
        value = match[2] if match[2] is not None else next(words, (0, None))[1]
        if value is None:
            raise UsageError(name, "needs a value")
        repeated = name == "--sources" and name in given
        given[name] = f"{given[name]},{value}" if repeated else value
    return given


# --- Loading --------------------------------------------------------------------------------------------------------


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings from flags, then variables, then defaults.

    Raises SettingsError (UsageError for the command line itself), and TextRequested for `--help` and `--version`.
    """
    flags = _parse_flags(argv)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for row in TABLE:
        for origin, text in (
            (row.flag, flags.get(row.flag or "", "")),
            (row.variable, environ.get(row.variable or "", "")),
        ):
            if origin and text.strip() and row.path not in origins:
                values[row.path] = _parse_value(row, origin, text.strip())
                origins[row.path] = origin
        if row.path not in origins:
            values[row.path] = row.derive(values, environ) if row.derive else row.kind.parse(row.default)
    _check_database(values, origins)
    _check_lease(values, origins)
    _check_jwt(values)
    groups = {
        name: group(**{f.name: values[f"{name}.{f.name}"] for f in fields(group)}) for name, group in GROUPS.items()
    }
    later = tuple(origins[row.path] for row in TABLE if row.path in origins and not row.active)
    return Settings(**groups, not_active_yet=later)


def _parse_value(row: Setting, origin: str, text: str) -> Any:
    try:
        return row.kind.parse(text)
    except ValueError:
        # No cause: the text of a parser's error may repeat a secret.
        raise SettingsError(origin, f"{_shown(row, text)} is not allowed; use {row.kind.allowed}") from None


def _shown(row: Setting, text: str) -> str:
    # A connection string that was put into the wrong variable must not end up in a log either.
    if row.kind.secret or "@" in text or "password" in text.lower():
        return "the value (hidden, it may hold a secret)"
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _check_database(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    wanted, dsn_origin = values["database.type"], origins.get("database.dsn")
    type_origin = origins.get("database.type", "DATABASE_TYPE")
    if dsn_origin is None:
        if wanted != "sqlite":
            raise SettingsError(type_origin, f"{wanted!r} needs a connection string; set DATABASE_DSN or --db-dsn")
        return
    implied = dsn_type(values["database.dsn"].reveal())
    if implied is None and wanted is None:
        raise SettingsError(
            dsn_origin,
            "the value (hidden, it may hold a secret) is not a known kind of connection string; use postgres://…,"
            " mysql://…, user:password@tcp(host:3306)/name, sqlite:////path or host=… dbname=…",
        )
    if implied is not None and implied != wanted:
        raise SettingsError(
            type_origin, f"{wanted!r} contradicts {dsn_origin}, which is a {implied} connection string; use {implied!r}"
        )


def _check_lease(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """A leader must notice the loss of its lease before another one may take it, and must have had time to retry."""
    paths = [f"leader_election.{name}_seconds" for name in ("lease_duration", "renew_deadline", "retry_period")]
    duration, renew, retry = (values[path] for path in paths)
    if duration > renew > retry:
        return
    names = ("CATALOG_LEADER_LEASE_DURATION", "CATALOG_LEADER_RENEW_DEADLINE", "CATALOG_LEADER_RETRY_PERIOD")
    blamed = next((origins[path] for path in paths if path in origins), names[0])
    texts = " > ".join(f"{name} ({values[path]})" for name, path in zip(names, paths, strict=True))
    raise SettingsError(
        blamed, f"{texts} does not hold; use a lease duration above the renew deadline above the retry period"
    )


def _check_jwt(values: Mapping[str, Any]) -> None:
    """Without a key every token would be believed, so that has to be asked for (spec http-api.md 5)."""
    jwt = values["authentication.mode"] == "jwt"
    if (
        jwt
        and values["authentication.jwt_public_key_path"] is None
        and not values["authentication.jwt_allow_unverified"]
    ):
        raise SettingsError(
            "CATALOG_AUTH_MODE",
            "'jwt' needs a key; set CATALOG_JWT_PUBLIC_KEY_PATH, or CATALOG_JWT_ALLOW_UNVERIFIED=true behind a proxy"
            " that verifies tokens",
        )


def load_or_exit(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """`load` for a `main`: answers `--help`, and ends the process with 2 (usage) or 1 (a wrong setting)."""
    try:
        return load(sys.argv[1:] if argv is None else argv, os.environ if environ is None else environ)
    except TextRequested as request:
        sys.stdout.write(request.text)
        sys.exit(0)
    except UsageError as error:
        _fail(f"{error.message}\n{usage_text(with_variables=False)}", 2)
    except SettingsError as error:
        _fail(f"{error.message}\n", 1)


def _fail(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"catalog-server: {text}")
    sys.exit(status)
