"""A lease as an object of Kubernetes: `coordination.k8s.io/v1` Lease (seed, Leader Election)."""

from __future__ import annotations

from datetime import UTC, datetime

from catalog_server.cluster.lease import LeaseState
from catalog_server.errors import CatalogError, Conflict, NotFound, Unavailable
from catalog_server.kube.client import KubeClient, KubeObject
from catalog_server.kube.resources import LEASES


class KubernetesLease:
    """Its term is the number of its transitions, which is what the API calls it."""

    def __init__(self, client: KubeClient, *, namespace: str, name: str, timeout_seconds: float) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timeout_seconds = timeout_seconds

    def read(self) -> LeaseState | None:
        try:
            return _state(self._send("GET", self._name))
        except NotFound:
            return None
        except CatalogError as error:
            raise Unavailable(error.message) from error

    def write(self, holder: str, term: int, duration_seconds: int, *, over: LeaseState | None) -> LeaseState:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata: KubeObject = {"name": self._name, "namespace": self._namespace}
        spec: KubeObject = {
            **({"holderIdentity": holder} if holder else {}),  # the API takes no empty one
            "leaseDurationSeconds": duration_seconds,
            "leaseTransitions": term,
            "renewTime": now,
        }
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        try:
            if over is None:
                spec["acquireTime"] = now
                return _state(self._send("POST", None, body))
            metadata["resourceVersion"] = over.version
            if over.term != term:
                spec["acquireTime"] = now
            return _state(self._send("PUT", self._name, body))
        except NotFound as error:  # it was deleted since it was read
            raise Conflict(error.message) from error
        except Conflict:
            raise
        except CatalogError as error:
            raise Unavailable(error.message) from error

    def _send(self, method: str, name: str | None, body: KubeObject | None = None) -> KubeObject:
        path = LEASES.path(namespace=self._namespace, name=name)
        return self._client.request(method, path, body, timeout_seconds=self._timeout_seconds)


def _state(lease: KubeObject) -> LeaseState:
    """Whatever is missing in it: others may have made it."""
    spec = lease.get("spec") or {}
    return LeaseState(
        holder=str(spec.get("holderIdentity") or ""),
        term=_number(spec.get("leaseTransitions")),
        duration_seconds=_number(spec.get("leaseDurationSeconds")),
        version=str(lease["metadata"]["resourceVersion"]),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
