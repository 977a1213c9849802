"""The kinds of Kubernetes objects that we touch, and their REST paths.

Names are checked here, because some of them come from a sources file: a name such as `..` must not change the path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from catalog_server.errors import Invalid

_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME_MAX_LENGTH: Final = 253


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. `api` is `api/v1` or `apis/<group>/<version>`, `plural` the name of the collection."""

    api: str
    plural: str

    def path(self, *, namespace: str | None = None, name: str | None = None) -> str:
        """The path of an object, or of the collection without `name`. Raises Invalid for what is no name."""
        path = f"/{self.api}"
        if namespace is not None:
            path += f"/namespaces/{check_name(namespace)}"
        path += f"/{self.plural}"
        return path if name is None else f"{path}/{check_name(name)}"


CONFIG_MAPS: Final = Resource("api/v1", "configmaps")
SECRETS: Final = Resource("api/v1", "secrets")
EVENTS: Final = Resource("api/v1", "events")
LEASES: Final = Resource("apis/coordination.k8s.io/v1", "leases")
SUBJECT_ACCESS_REVIEWS: Final = Resource("apis/authorization.k8s.io/v1", "subjectaccessreviews")


def check_name(name: str) -> str:
    """`name`, if it can name a Kubernetes object or namespace. Raises Invalid."""
    if len(name) > _NAME_MAX_LENGTH or _NAME.fullmatch(name) is None:
        raise Invalid(f"{name[:80]!r} is not a name in Kubernetes: use lowercase letters, digits, '-' and '.'")
    return name
