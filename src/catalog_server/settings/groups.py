"""The settings themselves, grouped. The docstring under a field gives the unit and the reason of the default."""

# ruff: noqa: RUF009
# `setting` is a field specifier: it returns dataclasses.field(...), once per field.

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from catalog_server.settings.edge import Connections, Server, Telemetry
from catalog_server.settings.kinds import (
    BOOLEAN,
    CLAIM,
    DAYS,
    HOSTS,
    KUBERNETES_KEY,
    KUBERNETES_NAME,
    NAMESPACE,
    NAMESPACES,
    NETWORKS,
    OPTIONAL_PATH,
    PATH,
    PATHS,
    SECONDS,
    SECRET,
    TEXT,
    DatabaseType,
    Network,
    Secret,
    choice,
    whole,
)
from catalog_server.settings.replicas import LeaderElection
from catalog_server.settings.table import Setting, default_data_dir, embedded_dsn, setting, type_of_dsn


@dataclass(frozen=True, kw_only=True, slots=True)
class Logging:
    """What the process writes about itself."""

    format: Literal["auto", "json", "text"] = setting(
        "CATALOG_LOG_FORMAT", "auto", choice("auto", "json", "text"), "Form of the log lines."
    )
    """`auto`: text on a terminal, JSON elsewhere, so that neither people nor collectors have to configure it."""
    level: Literal["debug", "info", "warning", "error"] = setting(
        "CATALOG_LOG_LEVEL", "info", choice("debug", "info", "warning", "error"), "Least level written."
    )
    """`info` is one line per request and per change of state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paths:
    """Files and folders."""

    sources: tuple[Path, ...] = setting("--sources", "/config/sources.yaml", PATHS, "Source files.")
    """Repeat the flag or give a comma list. The default is where the image and the manifests mount it."""
    watch_enabled: bool = setting("CATALOG_WATCH_ENABLED", "true", BOOLEAN, "Reload changed source files.")
    """On: an edit is visible without a restart. Turn it off where file events are unreliable or costly."""
    data_dir: Path = setting(
        "CATALOG_DATA_DIR",
        "$XDG_DATA_HOME/catalog-server or ~/.local/share/catalog-server",
        PATH,
        "Folder of the embedded database and of the document spool.",
        derive=default_data_dir,
    )
    """Must be writable. The user's data folder, so that a first run needs no privileges."""
    data_roots: tuple[Path, ...] = setting("CATALOG_DATA_ROOTS", "", PATHS, "Folders that sources may read files from.")
    """An allow-list: a source must not read any file of the host. Unset: the folder of each sources file, `plugins` and
    `sample-repos` beside it, /plugins and /sample-repos, which fits the shipped layout."""
    secrets_dir: Path | None = setting("CATALOG_SECRETS_DIR", "", OPTIONAL_PATH, "Folder with secrets as <name>/<key>.")
    """As <namespace>/<name>/<key> where several tenants share the server. Unset: secret references cannot be resolved
    from files. There is no folder that is safe to assume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on what the server takes in."""

    max_file_bytes: int = setting(
        "CATALOG_MAX_FILE_BYTES", "33554432", whole(1, 2**31, "bytes"), "Largest data file that is read."
    )
    """Bytes. 32 MiB is far above hand-written catalogs and fits the memory limit of the manifests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Providers:
    """What sources may reach beyond the data roots."""

    allowed_networks: tuple[Network, ...] = setting(
        "CATALOG_ALLOWED_NETWORKS", "", NETWORKS, "Private networks that http and hf sources may fetch from."
    )
    """Empty: public addresses only. Whoever may add a source must not reach what only this host can reach."""
    hf_hosts: tuple[str, ...] = setting(
        "CATALOG_HF_HOSTS", "", HOSTS, "Mirrors of the Hugging Face hub that get tokens and may speak plain HTTP."
    )
    """Empty: tokens go to huggingface.co only, so that a source cannot send them elsewhere by its `url`."""
    secret_namespaces: tuple[str, ...] = setting(
        "CATALOG_SECRET_NAMESPACES", "", NAMESPACES, "Further namespaces whose secrets sources may refer to (k8s mode)."
    )
    """Empty: only CATALOG_CONFIG_NAMESPACE, or where several tenants share the server the tenant's own. What is named
    here is for all of them. The service account may be able to read more than a source should."""
    hf_api_key: Secret = setting("HF_API_KEY", "", SECRET, "Token for huggingface.co, of sources that name it.")
    """Empty: anonymous. Sources refer to it by `apiKeyEnvVar`; a SecretRef in `token` is the better way."""
    hf_token: Secret = setting("HF_TOKEN", "", SECRET, "The same under the name that other tools use.")
    """Empty: anonymous."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubernetes:
    """Where the Kubernetes API is."""

    service_host: str = setting("KUBERNETES_SERVICE_HOST", "", TEXT, "Host of the API, as a pod finds it.")
    """Kubernetes sets it; empty outside of a cluster."""
    service_port: str = setting("KUBERNETES_SERVICE_PORT", "", TEXT, "Port of the API, as a pod finds it.")
    """Kubernetes sets it."""
    api_url: str = setting(
        "CATALOG_KUBERNETES_URL", "", TEXT, "URL of the API instead, such as that of `kubectl proxy`."
    )
    """Empty: the API of the cluster that the pod runs in. For development."""
    kubeconfig: Path | None = setting(
        "CATALOG_KUBECONFIG", "", OPTIONAL_PATH, "Kubeconfig file instead; its current context is used."
    )
    """Unset: no such file is read, not even ~/.kube/config: which cluster decides must not depend on who starts the
    server. For development."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """Where entities are kept."""

    dsn: Secret = setting(
        "DATABASE_DSN --db-dsn",
        "SQLite file catalog.db in CATALOG_DATA_DIR",
        SECRET,
        "Connection string of the database.",
        derive=embedded_dsn,
    )
    """Prefer the variable: a flag is visible in the process list. No DSN gives the embedded database."""
    type: DatabaseType = setting(
        "DATABASE_TYPE --db-type",
        "what the DSN says",
        choice("postgres", "mysql", "sqlite"),
        "Type of the database.",
        derive=type_of_dsn,
    )
    """Only needed to be explicit: a type that contradicts the DSN stops the start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """Changes of the database schema at start."""

    mode: Literal["auto", "check"] = setting(
        "CATALOG_MIGRATIONS --migrations", "auto", choice("auto", "check"), "What to do about an older schema."
    )
    """`auto` migrates at start. `check` refuses to start on an older schema, for those who run `catalog-server migrate`
    as a job of its own, with a database role that may change the schema."""
    lock_enabled: bool = setting("CATALOG_MIGRATION_LOCK_ENABLED", "true", BOOLEAN, "One replica migrates at a time.")
    """On, because it costs a single replica nothing and saves several from racing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigStore:
    """Where changes of the source configuration are kept."""

    mode: Literal["file", "k8s", "none"] = setting(
        "CATALOG_CONFIG_STORE_MODE --config-store", "file", choice("file", "k8s", "none"), "Where changes are kept."
    )
    """`file` writes the source file back, `k8s` a ConfigMap, `none` keeps nothing."""
    namespace: str = setting("CATALOG_CONFIG_NAMESPACE", "default", NAMESPACE, "Namespace of ConfigMap and secrets.")
    """`default` is what existing installations rely on; set it to the namespace of the pod."""
    configmap_name: str = setting(
        "CATALOG_CONFIG_CONFIGMAP_NAME", "catalog-sources", KUBERNETES_NAME, "ConfigMap to use."
    )
    """The name in the shipped manifests."""
    configmap_key: str = setting(
        "CATALOG_CONFIG_CONFIGMAP_KEY", "sources.yaml", KUBERNETES_KEY, "Key in the ConfigMap."
    )
    """The name that the file has when the ConfigMap is mounted."""
    reconcile_seconds: int = setting(
        "CATALOG_RECONCILE_INTERVAL_SECONDS", "30", SECONDS, "How often the store is looked at for changes of others."
    )
    """Seconds, give or take a tenth, so that replicas do not ask all at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenancy:
    """Who shares the server."""

    mode: Literal["single", "namespace"] = setting(
        "CATALOG_TENANCY_MODE", "single", choice("single", "namespace"), "One tenant, or one per namespace."
    )
    """`single` needs no namespace in a request, as clients of a one-team server expect."""
    namespaces: tuple[str, ...] = setting("CATALOG_NAMESPACES", "", NAMESPACES, "Allowed namespaces (namespace mode).")
    """Empty: any well-formed namespace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorization:
    """Who may do what."""

    mode: Literal["none", "sar"] = setting(
        "CATALOG_AUTHZ_MODE", "none", choice("none", "sar"), "By role, or by SubjectAccessReview of Kubernetes."
    )
    """`none` (everybody reads, operators change) because `sar` needs a cluster: without access to one it stops the
    start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Authentication:
    """Who the caller is."""

    mode: Literal["header", "jwt"] = setting(
        "CATALOG_AUTH_MODE", "header", choice("header", "jwt"), "Where callers are known from."
    )
    """`header`: from a proxy before the server that sets X-Remote-User. `jwt`: from bearer tokens, and nothing else."""
    allow_header: bool = setting("CATALOG_ALLOW_HEADER_AUTH", "false", BOOLEAN, "Role header beyond loopback.")
    """Off: a forgeable role (X-User-Role) on a reachable port has to be asked for."""
    trusted_proxies: tuple[Network, ...] = setting(
        "CATALOG_TRUSTED_PROXIES", "", NETWORKS, "Peers whose X-Remote-* and X-User-* count."
    )
    """Unset: of everybody, with a warning at start where others than this machine can connect."""
    jwt_role_claim: str = setting("CATALOG_JWT_ROLE_CLAIM", "role", CLAIM, "Claim that holds the role.")
    """Text or a list of texts. A dotted path reaches into objects, for example `realm_access.roles`."""
    jwt_operator_value: str = setting("CATALOG_JWT_OPERATOR_VALUE", "operator", TEXT, "Claim value of an operator.")
    """Compared without regard to case."""
    jwt_groups_claim: str = setting("CATALOG_JWT_GROUPS_CLAIM", "groups", CLAIM, "Claim that holds the groups.")
    """Text or a list of texts; a path as for the role."""
    jwt_public_key_path: Path | None = setting("CATALOG_JWT_PUBLIC_KEY_PATH", "", OPTIONAL_PATH, "Public key (PEM).")
    """RSA for RS256, RS384 and RS512, or EC for ES256 and ES384. Read again every 5 minutes. In `jwt` mode this or
    CATALOG_JWT_JWKS is required, unless unverified tokens are allowed."""
    jwt_jwks: str = setting("CATALOG_JWT_JWKS", "", TEXT, "JSON Web Key Set: a file, or an https:// URL.")
    """RS256 to RS512, PS256 to PS512, ES256, ES384. Read again every 5 minutes, and when a token names a key that is
    not in it; one that cannot be had keeps the last good one."""
    jwt_issuer: str = setting("CATALOG_JWT_ISSUER", "", TEXT, "Expected `iss` of a token.")
    """Empty: not checked."""
    jwt_audience: str = setting("CATALOG_JWT_AUDIENCE", "", TEXT, "Expected `aud` of a token.")
    """Empty: not checked, so that a token that the issuer made for another service counts here, too."""
    jwt_allow_unverified: bool = setting("CATALOG_JWT_ALLOW_UNVERIFIED", "false", BOOLEAN, "Take tokens without a key.")
    """Off: only right behind a proxy that has verified the token already. With a key it changes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The record of changes."""

    enabled: bool = setting("CATALOG_AUDIT_ENABLED", "true", BOOLEAN, "Record changes made over HTTP.")
    """On: a record that starts after the incident is of no use."""
    retention_days: int = setting("CATALOG_AUDIT_RETENTION_DAYS", "90", DAYS, "How long audit events are kept.")
    """Days. A quarter, the usual span of an access review."""
    log_denied: bool = setting("CATALOG_AUDIT_LOG_DENIED", "true", BOOLEAN, "Record denied changes (403) too.")
    """On: denied attempts are what a review looks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Refreshes in the background."""

    enabled: bool = setting("CATALOG_JOB_ENABLED", "true", BOOLEAN, "Refresh sources in background jobs.")
    """On: a slow source must not hold a request."""
    concurrency: int = setting("CATALOG_JOB_CONCURRENCY", "3", whole(1, 256), "Jobs at the same time, per replica.")
    """Jobs wait for the network most of the time; three leave CPU for requests."""
    max_retries: int = setting("CATALOG_JOB_MAX_RETRIES", "3", whole(0, 100), "Attempts per refresh job.")
    """0 is allowed. Three outlive a short outage without hiding a lasting one."""
    poll_interval_seconds: int = setting(
        "CATALOG_JOB_POLL_INTERVAL_SECONDS", "5", SECONDS, "Pause between looks for jobs."
    )
    """Seconds. Short enough to feel prompt, long enough to be no load."""
    claim_timeout_minutes: int = setting(
        "CATALOG_JOB_CLAIM_TIMEOUT_MINUTES", "10", whole(1, 10_080, "minutes"), "When a running job counts as stuck."
    )
    """Minutes. Longer than any healthy refresh."""
    retention_days: int = setting("CATALOG_JOB_RETENTION_DAYS", "7", DAYS, "How long finished jobs are kept.")
    """Days. A week covers a weekend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """Answers kept in memory."""

    enabled: bool = setting("CATALOG_CACHE_ENABLED", "true", BOOLEAN, "Cache the discovery answers.")
    """On: clients ask for them on every start."""
    discovery_ttl_seconds: int = setting("CATALOG_CACHE_DISCOVERY_TTL", "60", SECONDS, "Life of the plugin list.")
    """Seconds. The list changes with a release only."""
    capabilities_ttl_seconds: int = setting("CATALOG_CACHE_CAPABILITIES_TTL", "30", SECONDS, "Life of capabilities.")
    """Seconds. Shorter than the list, because sources change what a plugin can do."""
    max_entries: int = setting("CATALOG_CACHE_MAX_SIZE", "1000", whole(1, 10_000_000), "Entries per cache.")
    """More than there are distinct discovery answers."""
    response_bytes: int = setting(
        "CATALOG_RESPONSE_CACHE_BYTES", "16777216", whole(0, 2**34, "bytes; 0 = off"), "Room for answers."
    )
    """Bytes. 16 MiB holds the hot pages of a large catalog and stays small against the pod's memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Governance:
    """Files of the governance rules."""

    config: Path = setting(
        "CATALOG_GOVERNANCE_CONFIG",
        "/config/governance.yaml",
        PATH,
        "Environments, and how long audit events are kept.",
    )
    """Beside the source file in the image. Without it the environments are dev, stage and prod."""
    approval_policies: Path = setting(
        "CATALOG_APPROVAL_POLICIES", "/config/approval-policies.yaml", PATH, "Which changes need an approval."
    )
    """Beside the source file in the image. Where there is no such file, nothing needs an approval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that an operator can set, checked."""

    server: Server
    connections: Connections
    logging: Logging
    telemetry: Telemetry
    paths: Paths
    limits: Limits
    providers: Providers
    kubernetes: Kubernetes
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
    given: frozenset[str] = frozenset()
    """Settings that a flag or a variable says, as `group.name`."""


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
