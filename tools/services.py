"""Real PostgreSQL and MariaDB for the tests: install, start, stop, run a command beside them.

    python tools/services.py run -- CMD     start both, run CMD with the two DSNs in its environment, stop both
    python tools/services.py start          start both and leave them running (state in .services/state.json)
    python tools/services.py env            print the DSNs of the started pair as `export` lines
    python tools/services.py stop           stop the started pair and remove its data

Every pair is private: own data folder, own free ports on loopback, own password. `run` never shares a pair, so
several may run at once in one checkout. The servers and data of a killed run are removed by the next call of any kind.
A machine's own database clusters are neither used nor touched. The servers themselves are described in
service_engines.py. Standard library only; needs Linux (/proc).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

from service_engines import ENGINES, SEARCH_PATH, Engine, ServiceError, free_port, install

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ROOT / ".services"

INIT_DEADLINE_SECONDS = 120.0
READY_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 15.0
POLL_SECONDS = 0.05
LAUNCH_ATTEMPTS = 3  # another process may take the free port between its choice and its use
LOG_TAIL_LINES = 30


def main() -> int:
    parser = argparse.ArgumentParser(description="PostgreSQL and MariaDB for the tests.")
    commands = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (("start", "start both"), ("stop", "stop both"), ("env", "print the DSNs of the started pair")):
        commands.add_parser(verb, help=text)
    run = commands.add_parser("run", help="run a command beside a private pair")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "run":
            return run_beside(arguments.command[arguments.command[:1] == ["--"] :])
        verbs: dict[str, Callable[[], int]] = {"start": start, "stop": stop, "env": print_environment}
        return verbs[arguments.verb]()
    except (ServiceError, PermissionError) as error:
        print(f"services: {error}", file=sys.stderr)
        return 1


def start() -> int:
    """Start the shared pair, or say that it runs already."""
    interrupts = Interrupts()
    with exclusive():
        pair = Pair(SERVICES)
        if pair.is_running():
            print("services: already running")
            return 0
        pair.tear_down()
        install()
        try:
            pair.bring_up()
        except BaseException:
            interrupts.ignore()
            pair.tear_down()
            raise
    print('services: running; `eval "$(python tools/services.py env)"` sets the DSNs')
    return 0


def stop() -> int:
    with exclusive():
        Pair(SERVICES).tear_down()
    return 0


def print_environment() -> int:
    pair = Pair(SERVICES)
    if not pair.is_running():
        raise ServiceError("not running; first: python tools/services.py start")
    for variable, dsn in pair.state["environment"].items():
        print(f"export {variable}='{dsn}'")
    return 0


def run_beside(command: list[str]) -> int:
    """Run `command` beside a private pair, which is gone afterwards whatever happens. Returns the command's code."""
    if not command:
        raise ServiceError("nothing to run; use: python tools/services.py run -- CMD")
    interrupts = Interrupts()
    pair = Pair(SERVICES / f"run-{os.getpid()}")
    try:
        with exclusive():
            pair.claim()
            install()
        pair.bring_up()
        return interrupts.run(command, os.environ | pair.state["environment"] | {"CATALOG_TEST_REQUIRE_SERVICES": "1"})
    finally:
        interrupts.ignore()
        pair.tear_down()


class Interrupts:
    """Turns the signals that end a program into an orderly end: the command's first, then the servers'."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        for number in self.NUMBERS:
            signal.signal(number, self.receive)

    def receive(self, number: int, _frame: FrameType | None) -> None:
        if self.child is None:
            raise SystemExit(128 + number)
        if number != signal.SIGINT or not os.isatty(0):  # a terminal sends Ctrl-C to the command as well
            self.child.send_signal(number)

    def ignore(self) -> None:
        """From here on nothing may interrupt the cleaning up."""
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    def run(self, command: list[str], environment: dict[str, str]) -> int:
        try:
            self.child = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise ServiceError(f"cannot run {command[0]}: {error.strerror}") from error
        code = self.child.wait()
        return code if code >= 0 else 128 - code


class Pair:
    """The two servers of one `home`: their state file, logs, data folder and processes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state_file = home / "state.json"
        self.state: dict[str, Any] = {"data": None, "processes": {}, "environment": {}}
        self.claimed: IO[str] | None = None
        self.children: list[subprocess.Popen[bytes]] = []
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            self.state = json.loads(self.state_file.read_text())

    def claim(self) -> None:
        """Say that this home has a living owner: the system drops the lock when the process ends, however it ends."""
        make_folder(self.home)
        self.claimed = (self.home / "lock").open("w")
        fcntl.flock(self.claimed, fcntl.LOCK_EX)

    def save(self) -> None:
        draft = self.state_file.with_suffix(".new")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.state, file, indent=1)
        draft.replace(self.state_file)

    def is_running(self) -> bool:
        served = [f"{engine.name}-serve" for engine in ENGINES]
        processes = self.state["processes"]
        return bool(self.state["environment"]) and all(self.is_alive(processes.get(name)) for name in served)

    def is_alive(self, pid: int | None) -> bool:
        """Whether `pid` is still the process that was started here: its command line names this pair's data."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            return os.fsencode(self.state["data"]) in command  # a zombie's command line is empty
        except (FileNotFoundError, ProcessLookupError, TypeError):
            return False

    def bring_up(self) -> None:
        """Initialise and start both servers side by side; return when both answer."""
        make_folder(self.home)
        data = data_folder(self.home)
        self.state["data"] = str(data)
        self.save()
        password = secrets.token_urlsafe(18)
        for engine in ENGINES:
            (data / engine.name).mkdir(mode=0o700)
            engine.prepare(data, password)
            hand_over(data, engine)
        created = [(engine, self.spawn(engine, "init", engine.init_command(data))) for engine in ENGINES]
        for engine, process in created:
            self.await_end(engine, process)
        launched = [(engine, *self.launch(engine)) for engine in ENGINES]
        ports = {engine.name: self.await_ready(engine, process, port) for engine, process, port in launched}
        self.state["environment"] = {engine.variable: engine.dsn(ports[engine.name], password) for engine in ENGINES}
        self.save()

    def spawn(self, engine: Engine, step: str, command: list[str]) -> subprocess.Popen[bytes]:
        data = Path(self.state["data"])
        identity = account_of(engine)
        switch: dict[str, Any] = {}
        if identity is not None:
            switch = {"user": identity.pw_uid, "group": identity.pw_gid, "extra_groups": []}
        with self.log_file(engine).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=data / engine.name,
                env={"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(data / engine.name)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **switch,
            )
        self.children.append(process)
        self.state["processes"][f"{engine.name}-{step}"] = process.pid
        self.save()
        return process

    def launch(self, engine: Engine) -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        return self.spawn(engine, "serve", engine.serve_command(Path(self.state["data"]), port)), port

    def await_end(self, engine: Engine, process: subprocess.Popen[bytes]) -> None:
        try:
            code = process.wait(INIT_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            raise self.failure(engine, f"not initialised after {INIT_DEADLINE_SECONDS:.0f} s") from None
        if code != 0:
            raise self.failure(engine, f"initialising ended with code {code}")

    def await_ready(self, engine: Engine, process: subprocess.Popen[bytes], port: int) -> int:
        """Wait until the server answers; return its port, which is a new one when the first was taken meanwhile."""
        deadline = time.monotonic() + READY_DEADLINE_SECONDS
        attempts = 1
        while not engine.is_ready(port):
            if time.monotonic() > deadline:
                raise self.failure(engine, f"no answer after {READY_DEADLINE_SECONDS:.0f} s")
            if process.poll() is not None:
                if attempts == LAUNCH_ATTEMPTS:
                    raise self.failure(engine, f"ended with code {process.returncode}")
                attempts += 1
                process, port = self.launch(engine)
            time.sleep(POLL_SECONDS)
        return port

    def log_file(self, engine: Engine) -> Path:
        return self.home / f"{engine.name}.log"

    def failure(self, engine: Engine, what: str) -> ServiceError:
        lines = self.log_file(engine).read_text(errors="replace").splitlines()
        return ServiceError("\n".join([f"{engine.name}: {what}; end of its log:", *lines[-LOG_TAIL_LINES:]]))

    def tear_down(self) -> None:
        """Stop what runs and remove data, logs and state. Harmless when there is nothing."""
        signals = {engine.name: engine.stop_signal for engine in ENGINES}
        living = {name: pid for name, pid in self.state["processes"].items() if self.is_alive(pid)}
        for name, pid in living.items():
            signal_group(pid, signals[name.partition("-")[0]])
        deadline = time.monotonic() + STOP_DEADLINE_SECONDS
        while any(self.is_alive(pid) for pid in living.values()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for pid in living.values():
            signal_group(pid, signal.SIGKILL)
        for child in self.children:
            child.wait()
        if self.state["data"]:
            remove_folder(Path(self.state["data"]))
        self.remove_home()

    def remove_home(self) -> None:
        if self.home != SERVICES:
            shutil.rmtree(self.home, ignore_errors=True)
            return
        for path in (self.state_file, *map(self.log_file, ENGINES)):
            path.unlink(missing_ok=True)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Each process was started as the leader of its own group, which holds the helpers that it started in turn."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def remove_folder(path: Path) -> None:
    """Remove all of it; a process that is just dying may still write, so try until nothing is left."""
    deadline = time.monotonic() + STOP_DEADLINE_SECONDS
    while path.exists():
        shutil.rmtree(path, ignore_errors=time.monotonic() < deadline)
        time.sleep(POLL_SECONDS if path.exists() else 0)


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """One caller at a time installs, starts or stops; the leftovers of killed runs go first."""
    make_folder(SERVICES)
    with (SERVICES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for home in SERVICES.glob("run-*"):
            if not is_claimed(home):
                Pair(home).tear_down()
        yield


def is_claimed(home: Path) -> bool:
    try:
        with (home / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(0o711)  # the servers' accounts pass through, and list nothing


def data_folder(home: Path) -> Path:
    """A new folder for the data: in `home`, or in the temporary folder when an account cannot reach `home`."""
    reachable = all(can_enter(home, engine) for engine in ENGINES)
    data = Path(tempfile.mkdtemp(prefix="catalog-services-", dir=home if reachable else None))
    data.chmod(0o711)
    return data


def can_enter(folder: Path, engine: Engine) -> bool:
    identity = account_of(engine)
    if identity is None:
        return True
    test = ["test", "-x", str(folder)]
    done = subprocess.run(test, user=identity.pw_uid, group=identity.pw_gid, extra_groups=[], cwd="/", check=False)
    return done.returncode == 0


def hand_over(data: Path, engine: Engine) -> None:
    """Give the files that `engine` finds in its folder to the account that it runs as."""
    identity = account_of(engine)
    folder = data / engine.name
    for path in (folder, *folder.iterdir()):
        if identity is not None:
            os.chown(path, identity.pw_uid, identity.pw_gid)


def account_of(engine: Engine) -> pwd.struct_passwd | None:
    """The unprivileged account for a server, since neither wants to run as root; None when we are unprivileged."""
    return pwd.getpwnam(engine.account) if os.geteuid() == 0 else None


if __name__ == "__main__":
    sys.exit(main())
