"""The check of dependencies: a known vulnerability fails it, a service that is out of reach does not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.server import ROOT

ADVISORY = {
    "id": "TEST-2026-1",
    "summary": "It can be made to do harm.",
    "affected": [
        {
            "package": {"name": "uvicorn", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]}],
        }
    ],
}


@contextmanager
def advisories(vulnerable: str) -> Iterator[str]:
    """A server that speaks the protocol of OSV and has an advisory for one package."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"vulns": [ADVISORY]} if asked["package"]["name"] == vulnerable else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/query"
        server.shutdown()
        thread.join()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/audit_dependencies.py", "--vulnerability-service=osv", f"--osv-url={url}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_a_known_vulnerability_fails() -> None:
    with advisories("uvicorn") as url:
        done = audit(url)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("uvicorn ")
    assert "TEST-2026-1, fixed in 999.0" in done.stdout


@pytest.mark.slow
def test_none_passes() -> None:
    with advisories("nothing") as url:
        done = audit(url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_service_out_of_reach_is_told() -> None:
    with advisories("uvicorn") as url:
        pass
    done = audit(url)
    assert done.returncode == 0
    assert "NOT AUDITED: all dependencies" in done.stderr
