"""What the properties of an `hf` source say, checked: hub, token, wanted models, limits. Nothing is asked here.

A source may be written by somebody who must not learn the server's own token nor reach its network, so the token goes
to the public hub and to hosts that the settings name, and to no other (spec plugins.md 3.5, defect 38). hf_patterns.py
has the rules of patterns, http_guard.py those of addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import structlog

from catalog_server.errors import Invalid
from catalog_server.providers.hf_patterns import (
    FORMS,
    ModelGlobs,
    ModelPattern,
    parse_model_pattern,
    parse_organization,
    restrict,
)
from catalog_server.providers.http_guard import AddressGuard, Network, resolve_host
from catalog_server.providers.http_target import Target, parse_target
from catalog_server.providers.properties import SYNC_INTERVAL_KEY, Properties, sync_interval, wrong_type, wrong_value
from catalog_server.settings.kinds import Secret

PUBLIC_HOST: Final = "huggingface.co"
DEFAULT_URL: Final = f"https://{PUBLIC_HOST}"
TOKEN_VARIABLES: Final = ("HF_API_KEY", "HF_TOKEN")
DEFAULT_TOKEN_VARIABLE: Final = "HF_API_KEY"  # noqa: S105 (the name of a variable)
KNOWN_KEYS: Final = (
    *("url", "apiKeyEnvVar", "token", "includedModels", "excludedModels", "allowedOrganization", "maxModels"),
    *(SYNC_INTERVAL_KEY, "timeout"),
)
SYNC_INTERVAL_DEFAULT: Final = timedelta(hours=24)
DEFAULT_MAX_MODELS: Final = 500
MOST_MODELS: Final = 10_000
"""Also for `maxModels: 0`: what a hub says must not be able to fill the memory."""
DEFAULT_TIMEOUT_SECONDS: Final = 300.0
"""For a full source: five pages of 100 models, and 500 readmes one after the other at about a third of a second."""
LONGEST_TIMEOUT: Final = timedelta(minutes=30)
_TOKEN: Final = re.compile(r"hf_[!-~]{1,500}")
# A prefix of all requests has no query, and none of the parts that servers and proxies read in different ways.
_UNFIT_IN_URL: Final = re.compile(r"[?%]|/\.")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HubPolicy:
    """What the operator allows all `hf` sources. Hosts are names without port."""

    token_hosts: frozenset[str] = frozenset()
    http_hosts: frozenset[str] = frozenset()
    allowed_networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class HubSource:
    endpoint: Target
    """Its path is what stands before `/api`, for hubs behind a proxy of artifacts; without a slash at its end."""
    patterns: tuple[ModelPattern, ...]
    excluded: ModelGlobs
    organization: str | None
    max_models: int
    timeout_seconds: float
    token_field: str
    token: str | None = field(default=None, repr=False)


def read_hub_source(
    given: Mapping[str, Any], policy: HubPolicy, environment_tokens: Mapping[str, Secret | str]
) -> HubSource:
    """Raises Invalid for the first property that is wrong."""
    properties = Properties(given, KNOWN_KEYS)
    hub_sync_interval(given)  # wrong here means wrong in the source's status, not only in the schedule
    endpoint = _read_endpoint(properties.text("url") or DEFAULT_URL, policy)
    organization = properties.text("allowedOrganization")
    if organization is not None:
        organization = parse_organization(organization, "properties.allowedOrganization")
    timeout = properties.timeout(DEFAULT_TIMEOUT_SECONDS, LONGEST_TIMEOUT)
    token_field, token = _read_token(properties, endpoint, policy, environment_tokens)
    return HubSource(
        endpoint,
        _read_patterns(properties, organization),
        _read_excluded(properties, organization),
        organization,
        _read_max_models(given.get("maxModels")),
        timeout,
        token_field,
        token,
    )


def hub_sync_interval(given: Mapping[str, Any]) -> timedelta | None:
    """A day unless the source says otherwise: models change seldom, and a hub counts what it is asked."""
    return sync_interval(given, default=SYNC_INTERVAL_DEFAULT)


def _read_patterns(properties: Properties, organization: str | None) -> tuple[ModelPattern, ...]:
    given = properties.texts("includedModels") or ()
    if not given and organization is None:
        raise Invalid(
            f"'includedModels' is required, or 'allowedOrganization': {FORMS}",
            field="properties.includedModels",
            code="property_required",
        )
    patterns = []
    for number, text in enumerate(given or ("*",)):
        place = f"properties.includedModels[{number}]"
        text = text if organization is None or not text.strip() else restrict(text, organization, place)
        patterns.append(parse_model_pattern(text, place))
    # Models that are named come first: the limit should not fall on them.
    return tuple(dict.fromkeys(sorted(patterns, key=lambda pattern: pattern.is_prefix)))


def _read_excluded(properties: Properties, organization: str | None) -> ModelGlobs:
    given = properties.texts("excludedModels") or ()
    for number, glob in enumerate(given):
        if not glob.strip():
            raise Invalid("is empty", field=f"properties.excludedModels[{number}]", code="glob_empty")
    if organization is None:
        return ModelGlobs(given)
    # A source that includes `name` inside the organisation excludes in the same words.
    return ModelGlobs([glob if "/" in glob else f"{organization}/{glob.strip()}" for glob in given])


def _read_max_models(given: Any) -> int:
    if given is None:
        return DEFAULT_MAX_MODELS
    if isinstance(given, bool) or not isinstance(given, int):
        raise wrong_type("maxModels", "must be a whole number")
    if not 0 <= given <= MOST_MODELS:
        raise wrong_value("maxModels", f"must be between 0 (as many as the server takes) and {MOST_MODELS}")
    return given or MOST_MODELS


def _read_endpoint(url: str, policy: HubPolicy) -> Target:
    try:
        target = parse_target(url.strip())
    except ValueError as error:
        raise wrong_value("url", str(error).replace("use auth", "use 'token'")) from error
    if _UNFIT_IN_URL.search(target.request_path):
        raise wrong_value("url", "must have the form https://host or https://host/path")
    if target.scheme == "http" and target.host not in policy.http_hosts:
        raise wrong_value("url", "must begin with https://; the settings of the server can allow http for a host")
    # A refused address is known at once; what a name resolves to is judged when the hub is asked.
    AddressGuard(policy.allowed_networks, resolve_host).check_literal(target)
    return replace(target, path=target.path.rstrip("/"))


def _read_token(
    properties: Properties,
    endpoint: Target,
    policy: HubPolicy,
    environment_tokens: Mapping[str, Secret | str],
) -> tuple[str, str | None]:
    """The field to blame for the token, and the token where there is one and the hub may have it."""
    token, variable = properties.one_line_secret("token"), properties.text("apiKeyEnvVar")
    if token is not None and variable is not None:
        raise wrong_value("token", "contradicts 'apiKeyEnvVar': give only one of them")
    if variable is not None and variable not in TOKEN_VARIABLES:
        raise wrong_value("apiKeyEnvVar", f"must be one of {', '.join(TOKEN_VARIABLES)}")
    is_trusted = endpoint.host in policy.token_hosts or (endpoint.scheme, endpoint.host) == ("https", PUBLIC_HOST)
    name = "token" if token is not None else "apiKeyEnvVar"
    if not is_trusted:
        if token is not None or variable is not None:
            raise wrong_value(name, "is not sent to this host; the settings of the server can allow it", "host_refused")
        return name, None
    if token is None:
        return name, _environment_token(variable, environment_tokens)
    if _TOKEN.fullmatch(token) is None:
        raise wrong_value("token", "is not a token of Hugging Face, which begins with 'hf_'")
    return name, token


def _environment_token(variable: str | None, tokens: Mapping[str, Secret | str]) -> str | None:
    """Without it the hub is asked anonymously: public models need no token, so a missing one stops nothing."""
    given = tokens.get(variable or DEFAULT_TOKEN_VARIABLE)
    text = (given.reveal() if isinstance(given, Secret) else given or "").strip()
    if text and _TOKEN.fullmatch(text) is not None:
        return text
    if text or variable is not None:
        problem = "does not begin with 'hf_'" if text else "is not set"
        log.warning("hub is asked without a token", variable=variable or DEFAULT_TOKEN_VARIABLE, reason=problem)
    return None
