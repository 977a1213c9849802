"""`healthcheck <url>`: the container probe. GET, exit 0 on 2xx, else one line on stderr and exit 1.

It runs every few seconds, so it must start in milliseconds: standard library only, and of that only `socket` up front
(http.client alone would triple the start-up time). Only the head of the answer is read, as the status is all that
counts. Proxies of the environment are not used, because the probe must reach its own host.
"""

from __future__ import annotations

import socket
import sys
import time

DEFAULT_TIMEOUT_SECONDS = 5.0
MAX_REDIRECTS = 10
MAX_HEAD_BYTES = 65_536
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


class _Failed(Exception):
    """The probe failed; the message is the reason to print."""


class _Deadline:
    """The end of the whole probe, so that a server that drips bytes cannot stretch it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self._seconds:g} s"


def main(argv: list[str] | None = None) -> int:
    """The exit status for these arguments. Arguments after the URL are ignored, except `--timeout SECONDS`."""
    url, timeout = _parse_arguments(sys.argv[1:] if argv is None else argv)
    if url is None:
        sys.stderr.write("usage: healthcheck <url>\n")
        return 1
    try:
        check(url, _parse_timeout(timeout))
    except _Failed as failure:
        sys.stderr.write(f"healthcheck failed: {failure}\n")
        return 1
    return 0


def check(url: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
    """Return if `url` answers with 2xx within the time, following redirects; else raise with the reason."""
    deadline = _Deadline(timeout_seconds)
    for _ in range(MAX_REDIRECTS + 1):
        status, location = _fetch_head(url, deadline)
        if 200 <= status < 300:
            return
        if status not in _REDIRECTS or not location:
            raise _Failed(f"status {status}")
        from urllib.parse import urljoin

        url = urljoin(url, location)
    raise _Failed(f"stopped after {MAX_REDIRECTS} redirects")


def _parse_arguments(argv: list[str]) -> tuple[str | None, str | None]:
    url = timeout = None
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("--timeout", "-timeout"):
            timeout = value if equals else next(words, "")
        elif url is None and not word.startswith("-"):
            url = word
    return url, timeout


def _parse_timeout(text: str | None) -> float:
    if text is None:
        return DEFAULT_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise _Failed(f"--timeout: {text!r} is not allowed; use a number of seconds above 0, at most 3600")
    return seconds


def _fetch_head(url: str, deadline: _Deadline) -> tuple[int, str]:
    """The status of a GET, and the `Location` header (empty if absent)."""
    scheme, host, port, target = _split_url(url)
    try:
        with _connect(host, port, deadline) as plain, _secure(plain, scheme, host, deadline) as connection:
            name = f"[{host}]" if ":" in host else host
            at = name if port == _PORTS[scheme] else f"{name}:{port}"
            request = f"GET {target} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: healthcheck\r\nConnection: close\r\n\r\n"
            connection.settimeout(deadline.remaining())
            connection.sendall(request.encode("ascii"))
            return _read_head(connection, deadline)
    except TimeoutError:
        raise _Failed(f"timed out after {deadline}") from None
    except OSError as error:
        raise _Failed((error.strerror or str(error)).lower()) from error


def _split_url(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and request target. By hand: urllib.parse costs as much as all the rest."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise _Failed(f"{url!r} is not a URL that starts with http:// or https://")
    rest = rest.partition("#")[0]
    end = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    target = rest[end:] if rest[end:].startswith("/") else f"/{rest[end:]}"
    host, port = _split_authority(rest[:end].rpartition("@")[2], _PORTS[scheme])
    if not host or not port or not url.isascii() or not url.isprintable() or " " in url:
        raise _Failed(f"{url!r} is not a valid URL")
    return scheme, host, port, target


def _split_authority(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port` or `[IPv6]:port`; port 0 says that it is malformed."""
    if text.startswith("["):
        host, _, tail = text[1:].partition("]")
        port_mark, port = tail[:1], tail[1:]
    else:
        host, port_mark, port = text.partition(":")
    if not port:
        return host, default_port if port_mark in ("", ":") else 0
    return host, int(port) if port_mark == ":" and port.isdecimal() and len(port) <= 5 and int(port) < 65536 else 0


def _connect(host: str, port: int, deadline: _Deadline) -> socket.socket:
    """Try each address in turn; each gets its share of the time, so that a dead one does not starve the next."""
    failure: OSError = OSError(f"no address for {host}")
    addresses = _resolve(host, port, deadline)
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.remaining() / (len(addresses) - index))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _resolve(host: str, port: int, deadline: _Deadline) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    answers: list[list[tuple[int, int, int, str, tuple[object, ...]]] | OSError] = []

    def look_up() -> None:
        try:
            # As bytes: a str would import the IDNA tables.
            found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
            answers.append([(int(f), int(k), p, name, tuple(address)) for f, k, p, name, address in found])
        except OSError as error:
            answers.append(error)

    if host == "localhost" or host[-1].isdecimal() or ":" in host:
        look_up()
    else:
        # A name server may hang far beyond the deadline and getaddrinfo has no timeout: leave the thread behind.
        from threading import Thread

        thread = Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(deadline.remaining())
    if not answers:
        raise TimeoutError
    if isinstance(answers[0], OSError):
        raise answers[0]
    return answers[0]


def _secure(connection: socket.socket, scheme: str, host: str, deadline: _Deadline) -> socket.socket:
    if scheme == "http":
        return connection
    import ssl

    connection.settimeout(deadline.remaining())
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _read_head(connection: socket.socket, deadline: _Deadline) -> tuple[int, str]:
    received = b""
    while True:
        # Judged as soon as there is a line: a server of another protocol may wait for us and never finish a head.
        status = _parse_status(received) if b"\n" in received else 0
        head, blank_line, rest = received.replace(b"\r\n", b"\n").partition(b"\n\n")
        if blank_line and status >= 200:
            return status, _find_location(head)
        if blank_line:
            received = rest  # 1xx is an interim answer, the real one follows
            continue
        if len(received) > MAX_HEAD_BYTES:
            raise _Failed("the head of the answer is too long")
        connection.settimeout(deadline.remaining())
        chunk = connection.recv(MAX_HEAD_BYTES)
        if not chunk:
            raise _Failed("connection closed before a complete HTTP answer")
        received += chunk


def _parse_status(received: bytes) -> int:
    words = received.partition(b"\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        raise _Failed("the answer is not HTTP")
    return int(words[1])


def _find_location(head: bytes) -> str:
    for line in head.split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"location":
            return value.strip().decode("latin-1")
    return ""


if __name__ == "__main__":
    sys.exit(main())
