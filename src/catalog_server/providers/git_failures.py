"""What git's complaints mean: a class of failure in our words, and text that is fit to be shown.

git has one exit code for everything, so its messages (always English, see git_command.py) are all there is to go by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from catalog_server.errors import CatalogError, Invalid, Unavailable
from catalog_server.providers.git_source import GitSource

_LONGEST_REASON: Final = 300
_USER_INFORMATION: Final = re.compile(r"(?<=://)[^/@\s]*@")
_TELLING: Final = re.compile(r"(?:fatal|error|remote error|ERROR|ssh): ")

# The first pattern that is found decides.
_UNAVAILABLE: Final = (
    (r"Could not resolve (host|proxy)|Name or service not known|Temporary failure in name resolution", "is unknown"),
    (r"certificate|SSL|TLS|gnutls", "has no certificate that is trusted here"),
    (r"cannot run|exec format error", "cannot be asked: the ssh program is not installed"),
    (r"timed out|Timeout|Operation too slow", "does not answer in time"),
    (
        r"Failed to connect|Couldn't connect|Connection (refused|reset|closed)|No route to host|unreachable|hung up"
        r"|early EOF|unexpected disconnect|Empty reply|transfer closed|invalid index-pack|RPC failed",
        "cannot be reached, or broke the connection",
    ),
    (r"returned error: (429|5\d\d)", "answers with an error"),
)
_INVALID: Final = (
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied"
        r"|Access denied|access rights? .* denied",
        "the repository refuses these credentials, or asks for some",
        "access_refused",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION|host key .* (known|changed)",
        "the host shows another key than the known one",
        "host_key_refused",
    ),
    (r"transport '.*' not allowed|protocol '.*' not allowed", "the address leads to another protocol", "redirected"),
    (r"couldn't find remote ref|not our ref|unadvertised object", "the revision does not exist", "revision_missing"),
    (
        r"[Rr]epository .*not found|does not appear to be a git repository|returned error: 404|does not exist"
        r"|not valid: is this a git repository|No such file or directory",
        "there is no such repository",
        "repository_missing",
    ),
    (r"is ambiguous", "more than one commit begins like this", "revision_ambiguous"),
    (r"dumb http", "the server speaks only the old protocol without partial fetches", "protocol_unsupported"),
    (r"mismatched (object format|algorithms)", "the repository uses SHA-256 object names", "protocol_unsupported"),
)
_FIELDS: Final = {"host_key_refused": "knownHosts", "revision_ambiguous": "commit"}


class GitFailed(Exception):
    """git failed for a reason that we do not know; perhaps the mirror is damaged. The text is sanitised."""


def explain_failure(text: str, reason: str, source: GitSource) -> CatalogError | None:
    """The error for what git printed; None when its words are not known. `reason` is the sanitised text."""
    for pattern, problem in _UNAVAILABLE:
        if re.search(pattern, text):
            return Unavailable(f"the host of the repository {problem} (git: {reason})", retry_after_seconds=60)
    for pattern, problem, code in _INVALID:
        if re.search(pattern, text):
            key = source.revision.kind if code == "revision_missing" else _FIELDS.get(code, "repoUrl")
            return Invalid(f"{problem} (git: {reason})", field=f"properties.{key}", code=code)
    return None


def sanitise(text: str, secrets: Iterable[str], hidden: Mapping[str, str]) -> str:
    """One line of git's complaint, without secrets, user names and local paths. `hidden` maps paths to words."""
    for secret in secrets:
        for form in {secret, quote(secret), quote(secret, safe="")}:
            text = text.replace(form, "***")
    text = _USER_INFORMATION.sub("", text)
    for path in sorted(hidden, key=len, reverse=True):
        text = text.replace(path, hidden[path])
    lines = ["".join(filter(str.isprintable, line)).strip() for line in re.split(r"[\r\n]", text)]
    telling = [line for line in lines if _TELLING.match(line)] or [line for line in lines if line]
    return (telling[0] if telling else "no reason given")[:_LONGEST_REASON]
