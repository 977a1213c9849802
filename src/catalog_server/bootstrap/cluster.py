"""The cluster: how the server reaches its API, and what the cluster decides for it."""

from __future__ import annotations

import secrets

import structlog

from catalog_server.access.decisions import Decisions
from catalog_server.access.reviews import KubernetesReviewer
from catalog_server.bootstrap.leading import Leading
from catalog_server.cluster.database import DatabaseLease
from catalog_server.cluster.elector import Elector, Timing
from catalog_server.cluster.kubernetes import KubernetesLease
from catalog_server.cluster.lease import Lease
from catalog_server.cluster.term import newest_term
from catalog_server.db.engine import Engine
from catalog_server.errors import Invalid, Unavailable
from catalog_server.kube.access import Access, access_by_url, access_in_cluster
from catalog_server.kube.client import KubeClient
from catalog_server.kube.kubeconfig import access_by_kubeconfig
from catalog_server.settings import Kubernetes, LeaderElection, Settings
from catalog_server.telemetry.measurements import Measurements

log = structlog.get_logger(__name__)


def open_cluster(settings: Settings) -> KubeClient | None:
    """The Kubernetes API, where there is one. Raises Invalid when something needs it and it is not there."""
    needing = _needs_cluster(settings)
    try:
        access = _cluster_access(settings.kubernetes)
    except (Invalid, Unavailable) as error:
        if needing is not None:
            variable, value = needing
            raise Invalid(f"{variable}: {value!r}: {error.message}", field=variable) from error
        log.warning("no access to the Kubernetes API", reason=error.message)
        return None
    if access is None and needing is not None:
        variable, value = needing
        raise Invalid(
            f"{variable}: {value!r} needs a cluster; run in a pod (KUBERNETES_SERVICE_HOST and"
            " KUBERNETES_SERVICE_PORT), or set CATALOG_KUBECONFIG or CATALOG_KUBERNETES_URL",
            field=variable,
        )
    return None if access is None else KubeClient(access)


def _needs_cluster(settings: Settings) -> tuple[str, str] | None:
    """The variable, and its value, for which there must be a cluster."""
    for variable, value, needing in (
        ("CATALOG_CONFIG_STORE_MODE", settings.config_store.mode, "k8s"),
        ("CATALOG_AUTHZ_MODE", settings.authorization.mode, "sar"),
        ("CATALOG_LEADER_ELECTION_MODE", _election_mode(settings.leader_election), "lease"),
    ):
        if value == needing:
            return variable, value
    return None


def _election_mode(given: LeaderElection) -> str:
    return given.mode if given.enabled else "none"


def _cluster_access(given: Kubernetes) -> Access | None:
    if given.api_url and given.kubeconfig:
        raise Invalid("CATALOG_KUBERNETES_URL and CATALOG_KUBECONFIG name two clusters; set one of them")
    if given.api_url:
        return access_by_url(given.api_url)
    if given.kubeconfig:
        return access_by_kubeconfig(given.kubeconfig)
    if given.service_host:
        return access_in_cluster(given.service_host, given.service_port)
    return None


def open_decisions(settings: Settings, cluster: KubeClient | None, measurements: Measurements) -> Decisions | None:
    """The decisions of the cluster, where it is to decide (mode `sar`)."""
    if settings.authorization.mode != "sar":
        return None
    assert cluster is not None  # else open_cluster has stopped the start
    return Decisions(KubernetesReviewer(cluster), asked=measurements.reviews)


def open_elector(settings: Settings, cluster: KubeClient | None, engine: Engine, leading: Leading) -> Elector | None:
    """This replica's part in the election, where a leader is elected."""
    given = settings.leader_election
    if not given.enabled:
        return None
    lease: Lease
    if given.mode == "database":
        lease = DatabaseLease(engine, given.lease_name)
    else:
        assert cluster is not None  # else open_cluster has stopped the start
        lease = KubernetesLease(
            cluster,
            namespace=given.lease_namespace,
            name=given.lease_name,
            # Half of what is left after one silent attempt: a second one must still be in time.
            timeout_seconds=max(1.0, (given.renew_deadline_seconds - given.retry_period_seconds) / 2),
        )
    return Elector(
        lease,
        leading,
        name=given.lease_name,
        # A process that starts anew in the same pod is somebody else: the one before it may have left things half done.
        identity=f"{given.pod_name}_{secrets.token_hex(4)}",
        timing=Timing(given.lease_duration_seconds, given.renew_deadline_seconds, given.retry_period_seconds),
        newest_term=lambda: newest_term(engine, given.lease_name),
    )
