"""The yardstick: a raw ASGI function that answers a fixed body, on the server's own uvicorn settings.

    python -m bench.calibration PORT BODY_BYTES
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

HOST = "127.0.0.1"


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
    config = uvicorn.Config(
        build_app(size),
        host=HOST,
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_config=None,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
