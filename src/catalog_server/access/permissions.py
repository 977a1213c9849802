"""What a request needs: a verb on a kind of resource (spec platform.md 4.3). Each route names its permission.

Not for: who has it; see authorizers.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_READS: Final = ("get", "list")


class Permission(NamedTuple):
    """A verb on a resource of the API group `catalog.kubeflow.org`."""

    resource: str
    verb: str

    @property
    def is_read(self) -> bool:
        return self.verb in _READS

    def __str__(self) -> str:
        return f"{self.resource}/{self.verb}"


LIST_PLUGINS: Final = Permission("plugins", "list")
GET_CAPABILITIES: Final = Permission("capabilities", "get")
LIST_ASSETS: Final = Permission("assets", "list")
GET_ASSETS: Final = Permission("assets", "get")
LIST_SOURCES: Final = Permission("catalogsources", "list")
GET_SOURCES: Final = Permission("catalogsources", "get")
CREATE_SOURCES: Final = Permission("catalogsources", "create")
UPDATE_SOURCES: Final = Permission("catalogsources", "update")
DELETE_SOURCES: Final = Permission("catalogsources", "delete")
LIST_ACTIONS: Final = Permission("actions", "list")
EXECUTE_ACTIONS: Final = Permission("actions", "execute")
LIST_JOBS: Final = Permission("jobs", "list")
GET_JOBS: Final = Permission("jobs", "get")
CREATE_JOBS: Final = Permission("jobs", "create")
LIST_APPROVALS: Final = Permission("approvals", "list")
APPROVE_APPROVALS: Final = Permission("approvals", "approve")
UPDATE_APPROVALS: Final = Permission("approvals", "update")
LIST_AUDIT: Final = Permission("audit", "list")
GET_AUDIT: Final = Permission("audit", "get")
UNKNOWN: Final = Permission("unknown", "unknown")
"""Of what no route answers: nobody has it."""
