"""One run of the client: whom it asks, as whom, and how it shows what comes back.

Flags win over variables, variables over the configuration file. Nothing is read or connected before a command needs it,
so that help, completion and `config` work whatever the rest is like.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from catalog_server.cli.client import config, environment
from catalog_server.cli.client.failures import Failure, Usage
from catalog_server.cli.client.text import escape

if TYPE_CHECKING:
    from catalog_server.cli.client.discovery import Discovery
    from catalog_server.cli.client.transport import Query, Transport

DEFAULT_SERVER: Final = "http://localhost:8080"
DEFAULT_TIMEOUT_SECONDS: Final = 30.0
QUICK_SECONDS: Final = "2"


@dataclass(frozen=True)
class Flags:
    """The global flags, as given; None or empty where one was not."""

    server: str | None = None
    output: str | None = None
    namespace: str | None = None
    role: str | None = None
    user: str | None = None
    group: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    timeout: str | None = None
    ca_file: str | None = None
    insecure_skip_verify: bool = False
    no_cache: bool = False
    no_headers: bool = False
    yes: bool = False
    fail_on_pending: bool = False


class Session:
    """What all commands share."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags

    @cached_property
    def config(self) -> Mapping[str, str]:
        return config.load(environment.config_path())

    @cached_property
    def server(self) -> str:
        given = self.flags.server or environment.variable("CATALOG_SERVER", "CATALOG_SERVER_BASE_URL")
        return (given or self.config.get("server") or DEFAULT_SERVER).rstrip("/")

    @cached_property
    def namespace(self) -> str:
        given = self.flags.namespace or environment.variable("CATALOG_NAMESPACE")
        return given or self.config.get("namespace", "")

    @cached_property
    def timeout_seconds(self) -> float:
        given = self.flags.timeout or self.config.get("timeout")
        return config.parse_seconds(given) if given else DEFAULT_TIMEOUT_SECONDS

    @cached_property
    def headers(self) -> dict[str, str]:
        """Identity and namespace."""
        found = {
            "X-Namespace": self.namespace,
            "X-User-Role": self._setting(self.flags.role, "role"),
            "X-Remote-User": self._setting(self.flags.user, "user"),
            "X-Remote-Group": ",".join(self.flags.group) or self.config.get("groups", ""),
        }
        if token := self._token():
            found["Authorization"] = f"Bearer {token}"
        return {name: value for name, value in found.items() if value}

    @cached_property
    def transport(self) -> Transport:
        from catalog_server.cli.client.transport import Target, Transport

        skips = self.flags.insecure_skip_verify or config.parse_truth(
            "insecure-skip-verify", self.config.get("insecure-skip-verify", "")
        )
        ca_file = self._setting(self.flags.ca_file, "ca-file")
        return Transport(Target(self.server, self.headers, self.timeout_seconds, ca_file, is_verified=not skips))

    @cached_property
    def discovery(self) -> Discovery:
        from catalog_server.cli.client.discovery import Discovery

        folder = None if self.flags.no_cache else environment.cache_folder()
        identity = [self.server, *(f"{name}: {value}" for name, value in self.headers.items())]
        return Discovery(lambda: self.get("/api/plugins"), folder, identity)

    def get(self, path: str, query: Query = ()) -> dict[str, Any]:
        """A document of the server."""
        return self.transport.call("GET", path, query).object()

    def post(self, path: str, body: Any = None, query: Query = (), if_match: str = "") -> dict[str, Any]:
        """What the server says of a change. `if_match`: only if the configuration has this version."""
        return self.transport.call("POST", path, query, {} if body is None else body, _condition(if_match)).object()

    def patch(self, path: str, body: Any) -> dict[str, Any]:
        return self.transport.call("PATCH", path, body=body).object()

    def delete(self, path: str, if_match: str = "") -> dict[str, Any]:
        return self.transport.call("DELETE", path, headers=_condition(if_match)).object()

    def pages(self, path: str, query: Query) -> Iterator[dict[str, Any]]:
        """A list, page by page. Ends when there is no further token, or a token comes again."""
        token, seen = "", set[str]()
        while True:
            page = self.get(path, [*query, *page_query(token)] if token else query)
            yield page
            token = str(page.get("nextPageToken") or "")
            if not token or token in seen:
                return
            seen.add(token)

    def quick(self) -> Session:
        """The same for completion, which must not keep a shell waiting."""
        return Session(replace(self.flags, timeout=QUICK_SECONDS))

    @property
    def form(self) -> str:
        """The format of the output."""
        return self.form_or("table")

    def form_or(self, default: str) -> str:
        """The format of the output, of a command whose default is another one."""
        return self.flags.output or self.config.get("output") or default

    def confirm(self, question: str, context: Sequence[str] = ()) -> None:
        """Ask a person before something is lost. `context`: lines to read before answering.

        Raises:
            Usage: there is nobody to ask, and `--yes` was not given. Failure: the answer was no.
        """
        if self.flags.yes:
            return
        if not sys.stdin.isatty():
            raise Usage(f"{question} Give --yes to say so where there is no terminal to ask on.")
        sys.stderr.write("".join(f"{line}\n" for line in context))
        sys.stderr.write(f"{escape(question)} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Failure("not confirmed, nothing was done", word="not_confirmed")

    def _setting(self, flag: str | None, key: str) -> str:
        return flag or self.config.get(key, "")

    def _token(self) -> str:
        """Flag, file, variable, configuration: the first that says one."""
        if self.flags.token:
            return self.flags.token
        if self.flags.token_file:
            return _read_token(self.flags.token_file)
        if given := environment.variable("CATALOG_TOKEN") or self.config.get("token"):
            return given
        return _read_token(path) if (path := self.config.get("token-file")) else ""


def page_query(token: str) -> list[tuple[str, str]]:
    """A page token under both of its names: some routes know one of them only."""
    return [("pageToken", token), ("nextPageToken", token)]


def _condition(version: str) -> dict[str, str]:
    return {"If-Match": f'"{version}"'} if version else {}


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise Usage(f"token-file: {path!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not token:
        raise Usage(f"token-file: {path!r} is empty")
    return token
