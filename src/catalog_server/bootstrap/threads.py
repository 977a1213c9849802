"""Plain threads that run until they are told to stop, and are started again when they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

RETRY_SECONDS = 1.0
_JOIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Threads:
    """Used once: what is stopped is not started again."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Do `work`, which returns when it is done or `stop` is set, in a thread of its own."""

        def run() -> None:
            while not self.stop.is_set():
                try:
                    work()
                    return
                except Exception:  # door: work in the background, whose end nobody would notice
                    log.exception("background work failed, it is started again", work=name)
                self.stop.wait(RETRY_SECONDS)

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._lock:
            thread.start()
            self._threads.append(thread)
        return thread

    def join(self, seconds: float = _JOIN_SECONDS) -> None:
        """Tell them to stop and wait for them, but not for a database that does not answer."""
        self.stop.set()
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
