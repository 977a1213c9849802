"""A server in mode `sar`, the cluster that it asks, and short ways to say what the cluster allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fake_kubernetes import Cluster, KubeObject, Refused, serve_cluster
from tests.http.operator import Operator, operating


@dataclass
class Reviewed(Operator):
    """Asks as ann, whose requests the cluster decides about."""

    cluster: Cluster = field(default_factory=Cluster)

    def allow(self, *permissions: str, user: str = "ann", namespaces: tuple[str, ...] = ("default",)) -> None:
        """From now on this is all that is allowed."""

        def allows(spec: KubeObject) -> bool:
            wanted = spec["resourceAttributes"]
            asked = f"{wanted['resource']}/{wanted['verb']}"
            return bool(spec["user"] == user and wanted["namespace"] in namespaces and asked in permissions)

        self.cluster.allows = allows
        self.forget()

    def fail(self, status: int = 500, message: str = "etcd at 10.0.0.7 is gone") -> None:
        """From now on the API answers with this error."""

        def before(method: str, path: str) -> None:
            raise Refused(status, "Reason", message)

        self.cluster.before = before
        self.forget()

    def forget(self) -> None:
        """As if ten seconds went by."""
        decisions = self.client.server.decisions
        assert decisions is not None
        decisions._known.clear()
        self.cluster.reviews.clear()
        self.cluster.requests.clear()

    @property
    def asked(self) -> list[str]:
        """What the cluster has judged, in order."""
        found = [spec["resourceAttributes"] for spec in self.cluster.reviews]
        return [f"{one['resource']}/{one['verb']} {one['namespace']}" for one in found]


@contextmanager
def reviewing(folder: Path, **env: str) -> Iterator[Reviewed]:
    """A server on the usual skills, whose cluster allows nothing yet."""
    with serve_cluster() as (cluster, url):
        cluster.tokens.add("")
        settings = {"CATALOG_AUTHZ_MODE": "sar", "CATALOG_KUBERNETES_URL": url, **env}
        with operating(folder, **settings) as found:
            yield Reviewed(found.client, found.folder, {"X-Remote-User": "ann"}, cluster)
