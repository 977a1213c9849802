"""All settings of the server process, and the only place that reads the environment.

Each setting is declared once, as a field of a group below: its flag and variable, default, kind (type and limits) and
purpose. `TABLE` is those fields in order; parsing, `--help` and docs/reference/settings.md derive from it. The
docstring under a field gives the unit and the reason of the default.

Not here: what a connection string means beyond its database type (db/dsn.py), and what the files named here contain.
"""

from catalog_server.settings.edge import Connections, Server, Telemetry
from catalog_server.settings.groups import (
    GROUPS,
    TABLE,
    Audit,
    Authentication,
    Authorization,
    Cache,
    ConfigStore,
    Database,
    Governance,
    Jobs,
    Kubernetes,
    Limits,
    Logging,
    Migration,
    Paths,
    Providers,
    Settings,
    Tenancy,
)
from catalog_server.settings.kinds import (
    DatabaseType,
    Listen,
    Network,
    Secret,
    SettingsError,
    TextRequested,
    UsageError,
    dsn_type,
    parse_boolean,
)
from catalog_server.settings.loading import MIGRATE, load, load_or_exit, usage_text
from catalog_server.settings.replicas import LeaderElection
from catalog_server.settings.table import Setting

__all__ = [
    "GROUPS",
    "MIGRATE",
    "TABLE",
    "Audit",
    "Authentication",
    "Authorization",
    "Cache",
    "ConfigStore",
    "Connections",
    "Database",
    "DatabaseType",
    "Governance",
    "Jobs",
    "Kubernetes",
    "LeaderElection",
    "Limits",
    "Listen",
    "Logging",
    "Migration",
    "Network",
    "Paths",
    "Providers",
    "Secret",
    "Server",
    "Setting",
    "Settings",
    "SettingsError",
    "Telemetry",
    "Tenancy",
    "TextRequested",
    "UsageError",
    "dsn_type",
    "load",
    "load_or_exit",
    "parse_boolean",
    "usage_text",
]
