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
_NO_REASON: Final = "fatal: Could not read from remote repository."

# (pattern, problem, code): the first pattern that is found decides. Without a code the remote is at fault, and trying
# again may help.
_CLASSES: Final = (
    (r"Could not resolve|Name or service not known|name resolution", "the host of the repository is unknown", ""),
    (r"SSL certificate|certificate verif|SSL_|gnutls|TLS connect", "the certificate of the host is not trusted", ""),
    (r"cannot run|(?m:: (command )?not found$)", "the ssh program is not installed", ""),
    (r"timed out|Operation too slow", "the host of the repository does not answer in time", ""),
    (
        r"Failed to connect|Couldn't connect|Connection (refused|reset)|No route to host|Network is unreachable",
        "the host of the repository cannot be reached",
        "",
    ),
    (r"returned error: (429|5\d\d)", "the host of the repository answers with an error", ""),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION|host key .* (known|changed)",
        "the host shows another key than the known one",
        "host_key_refused",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|(Permission|Access) denied",
        "the repository refuses these credentials, or asks for some",
        "access_refused",
    ),
    (r"transport '.*' not allowed|rotocol .* (not supported|disabled)", "the address leads elsewhere", "redirected"),
    (r"couldn't find remote ref|not our ref|unadvertised object", "the revision does not exist", "revision_missing"),
    (
        r"repository .*not found|Repository not found|does not appear to be a git repository|returned error: 404"
        r"|epository .*does not exist|could not be found|not valid: is this a git repository",
        "there is no such repository",
        "repository_missing",
    ),
    (r"is ambiguous", "more than one commit begins like this", "revision_ambiguous"),
    (r"dumb http", "the server speaks only the old protocol without partial fetches", "protocol_unsupported"),
    (r"mismatched (object format|algorithms)", "the repository uses SHA-256 object names", "protocol_unsupported"),
    (
        r"hung up|early EOF|unexpected disconnect|Empty reply|transfer closed|RPC failed|Connection closed",
        "the host of the repository broke the connection",
        "",
    ),
)
_FIELDS: Final = {"host_key_refused": "knownHosts", "revision_ambiguous": "commit"}


class GitFailed(Exception):
    """git failed for a reason that we do not know; perhaps the mirror is damaged. The text is sanitised."""


def explain_failure(text: str, reason: str, source: GitSource) -> CatalogError | None:
    """The error for what git printed; None when its words are not known. `reason` is the sanitised text."""
    text = text.replace(source.address.url, "")  # the name of a repository may look like a complaint
    for pattern, problem, code in _CLASSES:
        if re.search(pattern, text) is None:
            continue
        message = f"{problem} (git: {reason})"
        if not code:
            return Unavailable(message, retry_after_seconds=60)
        key = source.revision.kind if code == "revision_missing" else _FIELDS.get(code, "repoUrl")
        return Invalid(message, field=f"properties.{key}", code=code)
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
    # Of several lines the first that is a complaint; the one that ends every ssh failure says nothing.
    found = sorted(filter(None, lines), key=lambda line: (line == _NO_REASON, _TELLING.match(line) is None))
    return found[0][:_LONGEST_REASON] if found else "no reason given"
