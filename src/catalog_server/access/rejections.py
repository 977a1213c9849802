"""Why credentials do not count. Apart from tokens.py, so that a server without tokens need not load their library."""

from __future__ import annotations

from catalog_server.errors import Unauthenticated


class TokenRejected(Unauthenticated):
    """A bearer token is malformed, not valid now, not for us, or not signed by whom we believe."""


class KeyUnknown(TokenRejected):
    """The token names a key that we do not hold. Fresh keys may hold it."""
