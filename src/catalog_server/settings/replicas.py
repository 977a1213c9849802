"""Settings of several replicas that share a database."""

# `setting` is a field specifier: it returns dataclasses.field(...), once per field.

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from catalog_server.settings.kinds import BOOLEAN, KUBERNETES_NAME, NAMESPACE, SECONDS, TEXT, choice
from catalog_server.settings.table import host_name, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaderElection:
    """Which replica runs the loops that may run once only."""

    enabled: bool = setting("CATALOG_LEADER_ELECTION_ENABLED", "false", BOOLEAN, "Elect a leader among the replicas.")
    """Off: one replica needs no leader. Without one every replica does all the work, which is safe, but repeats it."""
    mode: Literal["lease", "database"] = setting(
        "CATALOG_LEADER_ELECTION_MODE", "lease", choice("lease", "database"), "Who keeps the lease."
    )
    """`lease`: Kubernetes, as a Lease. `database`: the one that the replicas share, where there is no Kubernetes."""
    pod_name: str = setting(
        "POD_NAME",
        "the host name",
        TEXT,
        "Identity of this replica.",
        derive=host_name,
    )
    """Kubernetes sets the host name to the pod's name; must differ between replicas."""
    pod_namespace: str = setting("POD_NAMESPACE", "catalog-system", NAMESPACE, "Namespace that the pod runs in.")
    """The namespace of the shipped manifests."""
    lease_name: str = setting(
        "CATALOG_LEADER_LEASE_NAME", "catalog-server-leader", KUBERNETES_NAME, "Name of the Lease."
    )
    """The name in the shipped manifests. Replicas with other names elect a leader of their own."""
    lease_namespace: str = setting(
        "CATALOG_LEADER_LEASE_NAMESPACE",
        "POD_NAMESPACE",
        NAMESPACE,
        "Namespace of the Lease.",
        derive=lambda values, environ: values["leader_election.pod_namespace"],
    )
    """Where the pod's own Role applies."""
    lease_duration_seconds: int = setting("CATALOG_LEADER_LEASE_DURATION", "15", SECONDS, "Life of an unrenewed Lease.")
    """Seconds; must exceed the renew deadline. A dead leader is replaced after this time."""
    renew_deadline_seconds: int = setting(
        "CATALOG_LEADER_RENEW_DEADLINE", "10", SECONDS, "When a leader gives up renewing."
    )
    """Seconds; must exceed the retry period. The leader has stopped before another one can start."""
    retry_period_seconds: int = setting("CATALOG_LEADER_RETRY_PERIOD", "2", SECONDS, "Pause between attempts.")
    """Seconds. Several attempts fit into the renew deadline."""
