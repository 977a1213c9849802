"""What must not be shown of a source's properties: which keys are sensitive, and how their values are hidden.

In any text, the secrets of URLs are hidden as well: user and password, and parameters such as `token` and `sig`.
For: every place that shows properties (source lists, answers, validation echoes, diagnostics, audit), and for
putting the stored secrets back when a client sends a redacted source back to us.
Not for: resolving SecretRefs; a reference is no secret and passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

MARKER: Final = "***REDACTED***"
MAX_DEPTH: Final = 64

_SENSITIVE_WORDS: Final = (
    *("password", "token", "secret", "apikey", "credential", "passwd", "pwd"),
    *("privatekey", "accesskey", "authorization", "bearer", "cookie"),
)
_HARMLESS_ENDINGS: Final = ("envvar", "ref", "path")
_SEPARATORS: Final = str.maketrans("", "", "_-. ")
# Anchored on the literal "://", so that a long text without one costs a plain search.
_USERINFO: Final = re.compile(r"://(?!git@)[^\s/?#]*@")
_URL_REST: Final = re.compile(r"://\S+")
_SENSITIVE_PARAMETERS: Final = ("sig", "key", "code", "auth")
"""As names of query parameters only: as names of properties they are common and harmless."""
_PARAMETER: Final = re.compile(r"[?&;#]([^?&;#=\s]{1,200})=")
_PARAMETER_END: Final = re.compile(r"[&#]")


def is_sensitive_key(key: str) -> bool:
    """Whether a property of this name is expected to hold a secret. `api_key`, `X-Api-Key` and `apiKey` are one."""
    plain = key.lower().translate(_SEPARATORS)
    return not plain.endswith(_HARMLESS_ENDINGS) and any(word in plain for word in _SENSITIVE_WORDS)


def is_secret_ref(value: Any) -> bool:
    """Whether `value` is exactly a SecretRef; a map with more keys could carry a secret in one of them."""
    if not isinstance(value, Mapping) or not value.keys() <= {"name", "key", "namespace"}:
        return False
    parts = [value.get("name"), value.get("key"), value.get("namespace", "-")]
    return all(isinstance(part, str) and part for part in parts)


def is_sensitive_parameter(name: str) -> bool:
    """Whether a query parameter of this name, as it stands in a URL, is expected to hold a secret."""
    plain = unquote_plus(name)
    bare = plain.lower().translate(_SEPARATORS)
    return is_sensitive_key(plain) or bare in _SENSITIVE_PARAMETERS or bare.endswith("signature")


def mask_urls(text: str) -> str:
    """Hide user, password and sensitive parameters in any URL inside `text`; the `git@` of ssh URLs is no secret."""
    if "://" not in text:
        return text
    return _URL_REST.sub(lambda found: _mask_parameters(found[0]), _USERINFO.sub(f"://{MARKER}@", text))


def _mask_parameters(url: str) -> str:
    """Also those of a URL inside of a parameter, and those after `#`. A hidden value reaches to the next `&` or `#`."""
    shown, position = [], 0
    for found in _PARAMETER.finditer(url):
        if found.start() < position or found.end() == len(url) or not is_sensitive_parameter(found[1]):
            continue
        end = _PARAMETER_END.search(url, found.end())
        shown += [url[position : found.end()], MARKER]
        position = end.start() if end else len(url)
    return "".join([*shown, url[position:]])


def redact(properties: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy of `properties` that is safe to show. None stays None."""
    return None if properties is None else _redact_map(properties, 0)


def _redact_map(values: Mapping[str, Any], depth: int) -> dict[str, Any]:
    return {
        key: MARKER if is_sensitive_key(key) and not is_secret_ref(value) else _redact_value(value, depth + 1)
        for key, value in values.items()
    }


def _redact_value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return mask_urls(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth > MAX_DEPTH:
        return MARKER  # no honest property nests so deep, and recursion must end somewhere
    if isinstance(value, Mapping):
        return _redact_map(value, depth)
    return [_redact_value(entry, depth + 1) for entry in value]


def restore(given: Any, stored: Any) -> Any:
    """`given` with every redacted value replaced by what is `stored` in the same place.

    So that a client may read a source, change a word and send it back without knowing the secrets.
    """
    if isinstance(given, Mapping) and isinstance(stored, Mapping):
        return {key: restore(value, stored[key]) if key in stored else value for key, value in given.items()}
    if isinstance(given, list) and isinstance(stored, list | tuple):
        rest = given[len(stored) :]
        return [*(restore(new, old) for new, old in zip(given, stored, strict=False)), *rest]
    if given == MARKER or (isinstance(given, str) and MARKER in given and given == _redact_value(stored, 0)):
        return stored
    return given


def find_credentials(properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, key) of every value that looks like a secret written in plain text."""
    stack: list[tuple[str, str, Any, int]] = [("", key, value, 0) for key, value in reversed([*properties.items()])]
    while stack:
        parent, key, value, depth = stack.pop()
        path = f"{parent}{key}"
        if _is_credential(key, value):
            yield path, key
        elif depth < MAX_DEPTH and isinstance(value, Mapping):
            stack.extend((f"{path}.", name, child, depth + 1) for name, child in reversed([*value.items()]))
        elif depth < MAX_DEPTH and isinstance(value, list | tuple):
            stack.extend((path, f"[{index}]", child, depth + 1) for index, child in reversed(list(enumerate(value))))


def _is_credential(key: str, value: Any) -> bool:
    if isinstance(value, bool) or value in (None, "", MARKER) or is_secret_ref(value):
        return False
    return is_sensitive_key(key) or (isinstance(value, str) and mask_urls(value) != value)
