"""Serves `/metrics` to Prometheus, on a socket and in threads of its own: a scrape holds up no request.

The forms (the text format, and OpenMetrics where `Accept` asks for it) are those of prometheus-client.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Collect = Callable[[], Iterable[Metric]]
_PATH = "/metrics"
_TIMEOUT_SECONDS = 10.0


class MetricsServer:
    """Answers from `start` to `stop`, on a socket that listens already."""

    def __init__(self, listener: socket.socket, collect: Collect) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(collect))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._server = _Server(listener)
        self._server.set_app(_only_metrics(make_wsgi_app(registry)))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Collector(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = host, port
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not logged, as probes are not."""


def _only_metrics(app: Any) -> Any:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == _PATH and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            found: Iterable[bytes] = app(environ, start_response)
            return found
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"GET /metrics is all there is here\n"]

    return answer
