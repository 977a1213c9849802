"""The two database servers that services.py runs: where they are, how they are initialised, started and asked.

An engine only names commands and writes its files; processes, deadlines and cleaning up are in services.py.
Each server keeps everything in `<data>/<engine name>`, listens on 127.0.0.1 only, runs in UTC and never waits for the
disk: its data lives as long as one test run.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
USER = "catalog"
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), "/usr/local/sbin", "/usr/sbin", "/sbin"])
POSTGRESQL_HOME = Path("/usr/lib/postgresql")  # Debian: one folder per major version
POSTGRESQL_MIN_MAJOR = 14
ANSWER_TIMEOUT_SECONDS = 2.0
PROGRAMS = ("pgbouncer", "faketime")
"""What single tests start beside the servers; each is named as its Debian package."""


class ServiceError(Exception):
    """A server cannot be installed or started; the message says which, why, and what to do."""


class Engine(Protocol):
    """One kind of database server. `account` is the system account that its Debian `package` creates."""

    name: str
    package: str
    account: str
    variable: str
    stop_signal: signal.Signals

    def is_installed(self) -> bool: ...

    def prepare(self, data: Path, password: str) -> None:
        """Write the files that the commands below read into the existing folder `<data>/<name>`."""

    def init_command(self, data: Path) -> list[str]: ...

    def serve_command(self, data: Path, port: int) -> list[str]: ...

    def is_ready(self, port: int) -> bool: ...

    def dsn(self, port: int, password: str) -> str: ...


class PostgreSQL:
    name = "postgres"
    package = "postgresql"
    account = "postgres"
    variable = "CATALOG_TEST_POSTGRES_DSN"
    stop_signal = signal.SIGQUIT  # at once: nobody needs the data any more

    SETTINGS = (
        f"listen_addresses={HOST}",
        "unix_socket_directories=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "timezone=UTC",
        "log_timezone=UTC",
        "max_connections=200",
    )

    def is_installed(self) -> bool:
        return self._folder() is not None

    def prepare(self, data: Path, password: str) -> None:
        file = data / self.name / "password"
        file.touch(mode=0o600)
        file.write_text(password)

    def init_command(self, data: Path) -> list[str]:
        home = data / self.name
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        where = [f"--pgdata={home / 'cluster'}", f"--pwfile={home / 'password'}", f"--username={USER}"]
        return [self._program("initdb"), *where, *options]

    def serve_command(self, data: Path, port: int) -> list[str]:
        settings = [part for setting in (*self.SETTINGS, f"port={port}") for part in ("-c", setting)]
        return [self._program("postgres"), "-D", str(data / self.name / "cluster"), *settings]

    def is_ready(self, port: int) -> bool:
        question = [self._program("pg_isready"), "--quiet", f"--host={HOST}", f"--port={port}"]
        return subprocess.run(question, check=False).returncode == 0

    def dsn(self, port: int, password: str) -> str:
        return f"postgres://{USER}:{password}@{HOST}:{port}/postgres?sslmode=disable"

    def _folder(self) -> Path | None:
        """The programs of the newest installed major version; Debian keeps them off the PATH."""
        majors = [int(path.parent.parent.name) for path in POSTGRESQL_HOME.glob("[0-9][0-9]/bin/initdb")]
        newest = max(majors, default=0)
        return POSTGRESQL_HOME / str(newest) / "bin" if newest >= POSTGRESQL_MIN_MAJOR else None

    def _program(self, name: str) -> str:
        folder = self._folder()
        if folder is None:
            raise ServiceError(f"PostgreSQL {POSTGRESQL_MIN_MAJOR} or newer is not installed")
        return str(folder / name)


class MariaDB:
    name = "mysql"
    package = "mariadb-server"
    account = "mysql"
    variable = "CATALOG_TEST_MYSQL_DSN"
    stop_signal = signal.SIGTERM

    CONFIG = f"""\
[mariadbd]
datadir={{home}}/data
init-file={{home}}/init.sql
socket=mariadb.sock
pid-file=mariadb.pid
bind-address={HOST}
skip-networking=OFF
skip-name-resolve
skip-log-bin
default-time-zone=+00:00
max-connections=200
performance-schema=OFF
innodb-buffer-pool-size=64M
innodb-log-file-size=32M
innodb-flush-method=nosync
innodb-flush-log-at-trx-commit=0
innodb-doublewrite=OFF
"""  # the socket is relative to the data: its whole path may be longer than the system allows

    def is_installed(self) -> bool:
        return None not in map(self._find, ("mariadbd", "mariadb-install-db"))

    def prepare(self, data: Path, password: str) -> None:
        home = data / self.name
        config, sql = home / "my.cnf", home / "init.sql"
        for file in (config, sql):
            file.touch(mode=0o600)
        config.write_text(self.CONFIG.format(home=home))
        sql.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'{HOST}' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'{HOST}';\n"
        )

    def init_command(self, data: Path) -> list[str]:
        home = data / self.name
        options = [f"--defaults-file={home / 'my.cnf'}", f"--datadir={home / 'data'}"]
        return [self._find("mariadb-install-db") or "", *options, "--skip-test-db", "--skip-name-resolve"]

    def serve_command(self, data: Path, port: int) -> list[str]:
        options = [f"--defaults-file={data / self.name / 'my.cnf'}", f"--port={port}"]
        return [self._find("mariadbd") or "", *options, "--innodb-fast-shutdown=2"]  # the end needs no clean files

    def is_ready(self, port: int) -> bool:
        """A MariaDB that takes connections greets each with a packet whose fifth byte is the protocol version, 10."""
        try:
            with socket.create_connection((HOST, port), ANSWER_TIMEOUT_SECONDS) as connection:
                return connection.recv(5)[4:] == b"\x0a"
        except OSError:
            return False

    def dsn(self, port: int, password: str) -> str:
        return f"mysql://{USER}:{password}@{HOST}:{port}/"

    def _find(self, program: str) -> str | None:
        return shutil.which(program, path=SEARCH_PATH)


ENGINES: tuple[Engine, ...] = (PostgreSQL(), MariaDB())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def install() -> None:
    """Install the servers that are missing with apt. Raises ServiceError when that is not possible."""
    packages = missing_packages()
    if not packages:
        return
    install_command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServiceError(f"missing: {', '.join(packages)}; as root on Debian or Ubuntu: {' '.join(install_command)}")
    print(f"services: installing {', '.join(packages)}", file=sys.stderr)
    if apt(install_command) != 0:  # a fresh machine has no package lists, an old one has stale lists
        apt(["apt-get", "update"])
        apt(install_command)
    if packages := missing_packages():
        raise ServiceError(f"apt-get could not install {', '.join(packages)}; its output is above")


def missing_packages() -> list[str]:
    missing = [engine.package for engine in ENGINES if not engine.is_installed()]
    return missing + [package for package in PROGRAMS if shutil.which(package, path=SEARCH_PATH) is None]


def apt(command: list[str]) -> int:
    quiet = [command[0], "-qq", "-o", "DPkg::Lock::Timeout=120", *command[1:]]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(quiet, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode
