"""What git's complaints mean, and what of them may be shown."""

from __future__ import annotations

import pytest

from catalog_server.errors import Invalid, Unavailable
from catalog_server.providers.git_failures import explain_failure, sanitise
from catalog_server.providers.git_source import Address, Credentials, GitSource, Revision
from catalog_server.providers.path_globs import PathGlobs

URL = "https://example.com/Could not resolve.git"
SOURCE = GitSource(URL, Address("https", URL), Revision("tag", "v1"), PathGlobs(()), Credentials(), True, 1.0)


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (f"fatal: unable to access '{URL}/': Could not resolve host: example.com", None, None),
        (f"fatal: unable to access '{URL}/': Failed to connect to example.com port 443", None, None),
        (f"fatal: unable to access '{URL}/': The requested URL returned error: 503", None, None),
        (f"fatal: unable to access '{URL}/': SSL certificate problem: self-signed certificate", None, None),
        ("fatal: the remote end hung up unexpectedly", None, None),
        ("sh: 1: ssh: not found\nfatal: Could not read from remote", None, None),
        ("error: cannot run ssh: No such file or directory", None, None),
        (f"fatal: Authentication failed for '{URL}/'", "access_refused", "properties.repoUrl"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "access_refused", None),
        ("git@x: Permission denied (publickey).\nfatal: Could not read from remote", "access_refused", None),
        ("Host key verification failed.\nfatal: Could not read", "host_key_refused", "properties.knownHosts"),
        (f"fatal: repository '{URL}/' not found", "repository_missing", "properties.repoUrl"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote", "repository_missing", None),
        ("fatal: couldn't find remote ref refs/tags/v1", "revision_missing", "properties.tag"),
        ("fatal: transport 'http' not allowed", "redirected", None),
    ],
)
def test_known_complaint_then_its_class(text: str, code: str | None, field: str | None) -> None:
    found = explain_failure(text, "why", SOURCE)
    if code is None:
        assert isinstance(found, Unavailable)
    else:
        assert isinstance(found, Invalid)
        assert found.code == code
        assert field in (None, found.field)
    assert found.message.endswith("(git: why)")


@pytest.mark.parametrize("text", ["fatal: bad object HEAD", f"fatal: whatever about {URL}", ""])
def test_unknown_complaint_then_none(text: str) -> None:
    assert explain_failure(text, "why", SOURCE) is None


def test_shown_text_then_without_secrets_names_and_paths() -> None:
    text = "warning: x\nfatal: https://me:pa%20ss@host/r and pa ss, pa%20ss in /data/mirrors/1/work\x1b[0m\r\nmore"
    found = sanitise(text, ["pa ss"], {"/data/mirrors/1": "the mirror", "/data/mirrors/1/work": "the work"})
    assert found == "fatal: https://host/r and ***, *** in the work[0m"
    assert len(sanitise("fatal: " + "x" * 1000, [], {})) == 300
    assert sanitise("  \nplain words", [], {}) == "plain words"
    assert sanitise(
        "host: Permission denied (publickey).\nfatal: Could not read from remote repository.\n", [], {}
    ) == ("host: Permission denied (publickey).")
    assert sanitise("", [], {}) == "no reason given"
