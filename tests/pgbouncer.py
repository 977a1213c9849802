"""PgBouncer in front of a PostgreSQL database, pooling transactions: each one may get another session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.server import wait_until

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin"])
CONFIGURATION = """\
[databases]
{name} = host={host} port={port} dbname={name} user={user} password={password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def pooling(dsn: str, folder: Path) -> Iterator[str]:
    """The DSN of the proxy. More sessions than four there are not, whoever connects."""
    parts = urlsplit(dsn)
    name = parts.path.strip("/")
    program = shutil.which("pgbouncer", path=SEARCH_PATH)
    assert program is not None, "pgbouncer is missing: tools/services.py installs it"
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        listen = free.getsockname()[1]
    file = folder / "pgbouncer.ini"
    file.write_text(
        CONFIGURATION.format(
            name=name,
            host=parts.hostname,
            port=parts.port or 5432,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            listen=listen,
        )
    )
    # It refuses to run as root, and the account must be able to read its file.
    account = ["--user=postgres"] if os.geteuid() == 0 else []
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, *account, str(file)], stdout=log, stderr=log)
    try:
        wait_until("pgbouncer", lambda: accepts(listen, process), 10)
        yield f"postgresql://anybody@127.0.0.1:{listen}/{name}"
    finally:
        process.terminate()
        process.wait(10)
        sys.stdout.write((folder / "pgbouncer.log").read_text())


def accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "pgbouncer ended"
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
