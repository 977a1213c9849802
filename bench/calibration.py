"""The yardstick: a raw ASGI function that answers a fixed body, on the server's own uvicorn settings.

python -m bench.calibration PORT BODY_BYTES
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from bench.processes import HOST
from catalog_server.cli.server import uvicorn_config


def build_app(size: int) -> Callable[..., Awaitable[None]]:
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)],
    }
    body = {"type": "http.response.body", "body": b"x" * size}

    async def app(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send(start)
        await send(body)

    return app


def main() -> None:
    port, size = map(int, sys.argv[1:])
    with socket.create_server((HOST, port), backlog=2048) as listener:
        uvicorn.Server(uvicorn_config(build_app(size))).run(sockets=[listener])


if __name__ == "__main__":
    main()
