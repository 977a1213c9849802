"""Who asks (spec http-api.md 0.3 and 5): as the headers of an authenticating proxy say, or a bearer token.

Header mode: `X-Remote-User`, `X-Remote-Group` and `X-Remote-Extra-<key>`, which is what the front proxy of Kubernetes
sends. `X-User-Role` and `X-User-Principal` are for development. Where the operator has said which peers are proxies,
the headers of all others are as good as not sent.

Token mode: no header but `Authorization` counts. A token that does not count leaves a caller anonymous where anybody
may read; where something is guarded it is answered with 401, so that nobody wonders about missing rights.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from catalog_server.access.principal import ANONYMOUS, LONGEST_USER, Principal, read_groups
from catalog_server.access.proxy import HeaderTrust
from catalog_server.access.rejections import KeyUnknown, TokenRejected
from catalog_server.errors import Invalid, Unavailable
from catalog_server.http.messages import Handler, Middleware, Request, Response
from catalog_server.http.threads import in_change_thread

if TYPE_CHECKING:  # it loads the library of tokens, which header mode has no use for
    from catalog_server.access.tokens import Tokens

OPERATOR = "operator"
_USER: Final = b"x-remote-user"
_GROUP: Final = b"x-remote-group"
_EXTRA: Final = b"x-remote-extra-"
_ROLE: Final = b"x-user-role"
_PRINCIPAL: Final = b"x-user-principal"
_AUTHORIZATION: Final = b"authorization"
_MOST_EXTRA: Final = 100
_LONGEST_EXTRA: Final = 1024


def identity(trust: HeaderTrust | Tokens, *, guards_reads: bool) -> Middleware:
    """Middleware: sets `request.principal`. `guards_reads`: whether reads need a permission, too.

    Raises:
        Invalid: identity headers are too many, too long or not printable.
        TokenRejected, Unavailable: the route is guarded, and the token does not count or cannot be judged.
    """
    if isinstance(trust, HeaderTrust):
        return lambda following: _ByHeaders(following, trust).handle
    return lambda following: _ByToken(following, trust, guards_reads).handle


class _ByHeaders:
    def __init__(self, following: Handler, trust: HeaderTrust) -> None:
        self._following = following
        self._trust = trust

    def handle(self, request: Request) -> Awaitable[Response]:
        user, role = request.header(_USER), request.header(_ROLE)
        if user is not None or role is not None or request.header(_PRINCIPAL) is not None:
            peers = self._trust.peers
            if peers is None or peers.has(request.peer):
                is_operator = self._trust.honours_role and role is not None and role.strip().lower() == OPERATOR
                request.principal = self._principal(request, is_operator)
        return self._following(request)

    def _principal(self, request: Request, is_operator: bool) -> Principal:
        name = _read_user(request, _USER)
        if name is None and self._trust.honours_principal:
            name = _read_user(request, _PRINCIPAL)
        if not name or name == ANONYMOUS.user:  # who has no name is in no group
            return Principal(ANONYMOUS.user, is_operator=is_operator)
        return Principal(name, _read_groups(request), is_operator, _read_extra(request))


def _read_user(request: Request, header: bytes) -> str | None:
    """The user's name; empty when it is blank or not printable, None when there is none. Raises Invalid."""
    given = _lines(request, header)
    if len(given) > 1:  # two proxies, or a client that hopes to be read first
        raise Invalid("given more than once", field=header.decode().title())
    name = given[0].strip() if given else ""
    if len(name) > LONGEST_USER:
        raise Invalid(f"has more than {LONGEST_USER} characters", field=header.decode().title())
    return (name if name.isprintable() else "") if given else None


def _read_groups(request: Request) -> tuple[str, ...]:
    """Of all lines, since proxies add their own to those that are there."""
    lines = _lines(request, _GROUP)
    return read_groups((one for line in lines for one in line.split(",")), _GROUP.decode().title()) if lines else ()


def _read_extra(request: Request) -> dict[str, tuple[str, ...]]:
    """By key, which is percent-decoded; each line is one value, as Kubernetes has it."""
    found: dict[str, tuple[str, ...]] = {}
    given = [(name[len(_EXTRA) :], value) for name, value in request.headers if name.startswith(_EXTRA)]
    if len(given) > _MOST_EXTRA:
        raise Invalid(f"given more than {_MOST_EXTRA} times", field="X-Remote-Extra-")
    for name, value in given:
        key, text = _text(unquote_to_bytes(name)).lower(), _text(value)
        if not key or not key.isprintable() or not text.isprintable() or len(text) > _LONGEST_EXTRA:
            problem = f"needs a key, and a value of at most {_LONGEST_EXTRA} characters, all of them printable"
            raise Invalid(problem, field="X-Remote-Extra-")
        found[key] = (*found.get(key, ()), text)
    return found


def _lines(request: Request, name: bytes) -> list[str]:
    return [_text(value) for key, value in request.headers if key == name]


def _text(value: bytes) -> str:
    """What is not UTF-8 becomes text that is not printable."""
    return value.decode("utf-8", "surrogateescape")


class _ByToken:
    def __init__(self, following: Handler, tokens: Tokens, guards_reads: bool) -> None:
        self._following = following
        self._tokens = tokens
        self._guards_reads = guards_reads
        self._renewal: asyncio.Future[None] | None = None

    def handle(self, request: Request) -> Awaitable[Response]:
        given = request.header(_AUTHORIZATION)
        if given is not None and given[:6].lower() == "bearer":
            try:
                request.principal = self._tokens.read(_read_bearer(request))
            except KeyUnknown as error:
                keys = self._tokens.keys
                if keys is not None and keys.is_due:
                    return self._after_renewal(request)
                self._reject(request, error)
            except (TokenRejected, Unavailable) as error:
                self._reject(request, error)
        return self._following(request)

    async def _after_renewal(self, request: Request) -> Response:
        """Once more with fresh keys. All requests that want them wait for the same ones."""
        assert self._tokens.keys is not None
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.ensure_future(in_change_thread(self._tokens.keys.try_refresh))
        await asyncio.shield(self._renewal)
        try:
            request.principal = self._tokens.read(_read_bearer(request))
        except (TokenRejected, Unavailable) as error:
            self._reject(request, error)
        return await self._following(request)

    def _reject(self, request: Request, error: TokenRejected | Unavailable) -> None:
        """Raises `error` where the route is guarded; elsewhere the caller stays anonymous."""
        route = request.route
        if route is not None and (route.needs_operator or (self._guards_reads and route.permission is not None)):
            raise error


def _read_bearer(request: Request) -> str:
    """The token of the only `Authorization`. Raises TokenRejected."""
    lines = [value for name, value in request.headers if name == _AUTHORIZATION]
    if len(lines) > 1:
        raise TokenRejected("the header Authorization is given more than once")
    token = lines[0][6:].decode("latin-1")
    if token[:1] not in (" ", "\t") or not token.strip():
        raise TokenRejected("the header Authorization holds no token after 'Bearer'")
    return token.strip()
