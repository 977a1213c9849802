"""From a SecretRef in a source's properties to the secret, and back to a text without it.

For: the moment a source is used; the configuration keeps the reference. A map counts as a reference exactly when
redaction.is_secret_ref says so, at any depth.
Not for: hiding secrets that were written in plain text (redaction.py).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, quote_plus

from catalog_server.errors import CatalogError, Invalid, NotFound, Unavailable
from catalog_server.kube.client import KubeClient
from catalog_server.kube.resources import SECRETS, check_name
from catalog_server.scope import check_namespace
from catalog_server.sources.paths import Roots, read_file
from catalog_server.sources.redaction import MARKER, is_secret_ref

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 64
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LEAST_LINE: Final = 8


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Names one value of one secret. An empty `namespace` is the default one."""

    name: str
    key: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}/{self.key}" if self.namespace else f"{self.name}/{self.key}"


class SecretSource(Protocol):
    """Where secrets come from."""

    def of_tenant(self, namespace: str) -> SecretSource:
        """Those that the sources of a tenant may use: all where there is one tenant, else those of its namespace."""
        ...

    def read_secret(self, ref: SecretRef) -> str:
        """The secret, without a line break at its end. Raises CatalogError, never with the value in its text."""
        ...


class NoSecrets:
    """No place for secrets is configured."""

    def of_tenant(self, namespace: str) -> SecretSource:
        return self

    def read_secret(self, ref: SecretRef) -> str:
        raise NotFound("no place for secrets is configured; set CATALOG_SECRETS_DIR")


class FolderSecrets:
    """Secrets as files `<folder>/<name>/<key>`, the way that Kubernetes mounts them: with links inside the folder.

    `is_shared`: several tenants have theirs below it, as `<folder>/<namespace>/<name>/<key>`.
    """

    def __init__(self, folder: Path, *, is_shared: bool = False) -> None:
        self._folder = folder
        self._is_shared = is_shared

    def of_tenant(self, namespace: str) -> SecretSource:
        return FolderSecrets(self._folder / check_namespace(namespace)) if self._is_shared else self

    def read_secret(self, ref: SecretRef) -> str:
        if ref.namespace:
            raise Invalid("a folder of secrets knows no namespaces: leave it out")
        check_name(ref.name)
        path = Path(os.path.realpath(self._folder / ref.name / _check_key(ref.key)))
        if not Roots((self._folder,)).contain(path):
            raise Invalid("it lies outside the folder of secrets")
        if not path.is_file():
            raise NotFound("there is no such file in the folder of secrets")
        return _text(read_file(path, MAX_BYTES))


class KubernetesSecrets:
    """Secrets of the cluster. Those of other namespaces are refused unless `allowed_namespaces` names them.

    `is_shared`: the sources of a tenant use those of the tenant's namespace, not those of `namespace`.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        allowed_namespaces: Collection[str] = (),
        is_shared: bool = False,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._further = tuple(allowed_namespaces)
        self._allowed = frozenset((namespace, *allowed_namespaces))
        self._is_shared = is_shared

    def of_tenant(self, namespace: str) -> SecretSource:
        if not self._is_shared:
            return self
        return KubernetesSecrets(self._client, namespace, allowed_namespaces=self._further)

    def read_secret(self, ref: SecretRef) -> str:
        namespace = ref.namespace or self._namespace
        if namespace not in self._allowed:
            raise Invalid(f"secrets of the namespace {namespace[:80]!r} are not allowed here")
        key = _check_key(ref.key)
        found = self._client.get(SECRETS, ref.name, namespace=namespace)
        encoded = (found.get("data") or {}).get(key)
        if encoded is None:
            raise NotFound("the secret has no such key")
        try:
            data = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise Invalid("the value in the secret is damaged") from None
        return _text(data)


def resolve_secrets(properties: Mapping[str, Any], source: SecretSource) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A copy of `properties` with each SecretRef replaced, and all the secrets in it, for `mask`.

    Raises Invalid with the code `secret_unresolved` that names field and reference, or Unavailable when the place of
    the secrets is down and a later try may work.
    """
    resolver = _Resolver(source)
    resolved = {key: resolver.resolve(value, f"properties.{key}", 1) for key, value in properties.items()}
    return resolved, tuple(dict.fromkeys(resolver.found.values()))


def mask(text: str, secrets: Iterable[str]) -> str:
    """`text` without the `secrets`, as they are, in the spellings of a URL, and line by line."""
    forms = {form for secret in secrets for form in _forms(secret) if form}
    if not forms:
        return text
    # The longest first, and all in one pass: a secret may be part of another one, or of the marker.
    pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.sub(pattern, MARKER, text)


class _Resolver:
    def __init__(self, source: SecretSource) -> None:
        self._source = source
        self.found: dict[SecretRef, str] = {}

    def resolve(self, value: Any, field: str, depth: int) -> Any:
        if not isinstance(value, Mapping | list | tuple):
            return value
        if depth > MAX_DEPTH:
            raise Invalid(f"{field[:200]}: nested deeper than {MAX_DEPTH} levels", field=field[:200])
        if isinstance(value, Mapping):
            if is_secret_ref(value):
                return self._secret(SecretRef(**value), field)
            return {key: self.resolve(entry, f"{field}.{key}", depth + 1) for key, entry in value.items()}
        return [self.resolve(entry, f"{field}[{index}]", depth + 1) for index, entry in enumerate(value)]

    def _secret(self, ref: SecretRef, field: str) -> str:
        if ref not in self.found:
            try:
                self.found[ref] = self._source.read_secret(ref)
            except Unavailable as error:
                raise Unavailable(f"{field}: the secret {ref} cannot be read now: {error.message}") from error
            except CatalogError as error:
                problem = f"{field}: the secret {str(ref)[:200]} cannot be resolved: {error.message}"
                raise Invalid(problem, field=field, code="secret_unresolved") from error
        return self.found[ref]


def _check_key(key: str) -> str:
    if _KEY.fullmatch(key) is None or key in (".", ".."):
        raise Invalid(f"{key[:80]!r} is not a key of a secret")
    return key


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise Invalid(f"the secret has more than {MAX_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid("the secret is not UTF-8 text") from None  # the cause would quote some of it
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Invalid("the secret is empty")
    return text


def _forms(secret: str) -> Iterable[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    lines = secret.splitlines()
    if len(lines) > 1:  # a key in PEM form may be quoted in part
        yield from (line for line in lines if len(line) >= _LEAST_LINE)
