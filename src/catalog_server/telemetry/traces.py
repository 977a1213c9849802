"""W3C Trace Context: which trace a request belongs to, for logs, audit events and the requests that we make ourselves.

`current` holds the place in a trace of the work at hand; threads that do a part of it must be given its context.
Not for: sending spans anywhere (otlp.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from random import getrandbits, random
from typing import Final, Literal, NamedTuple

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""Version, trace id, span id, flags."""
_LONGEST_STATE: Final = 512
_SAMPLED: Final = 1


class Span(NamedTuple):
    """Our part of a trace. Ids are lower-case hexadecimal; `parent_id` is empty where the trace begins with us."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    is_sampled: bool = False
    state: str = ""
    """Of other vendors, handed on as it came."""

    @property
    def headers(self) -> dict[str, str]:
        """For a request that belongs to this work."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"}
        return {**headers, "tracestate": self.state} if self.state else headers


def _follow(parent: str, state: str | None) -> Span | None:
    """A span below that of whoever sent these headers; None where `traceparent` is not valid: a new trace begins.

    Later versions may append fields to it; of version 00 there are none. A state that is too long is dropped.
    """
    found = _PARENT.match(parent)
    if found is None:
        return None
    rest = parent[found.end() :]
    if rest and (parent.startswith("00") or not rest.startswith("-")):
        return None
    trace_id, parent_id, flags = found.groups()
    is_kept = state is not None and len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable()
    return Span(trace_id, _span_id(), parent_id, bool(int(flags, 16) & _SAMPLED), (state or "") if is_kept else "")


@dataclass(frozen=True, slots=True)
class Finished:
    """A piece of work that is done, by the names of OpenTelemetry. Times in seconds since the epoch."""

    span: Span
    name: str
    kind: Literal["server", "internal"]
    started: float
    ended: float
    attributes: Mapping[str, str | int]
    is_error: bool = False


SendSpan = Callable[[Finished], None]


class Tracer:
    """Begins spans, and hands the sampled ones on when they are finished. Without `send` nothing is sampled by us."""

    def __init__(self, send: SendSpan | None = None, share: float = 0.0) -> None:
        """`share` of the traces that begin here are sampled, from 0 to 1; whoever calls us has decided for theirs."""
        self._send = send
        self._share = share
        self.is_on = send is not None

    def follow(self, parent: str | None, state: str | None) -> Span:
        """The span of a request with these headers `traceparent` and `tracestate`."""
        return (_follow(parent, state) if parent is not None else None) or self.begin()

    def begin(self) -> Span:
        """The first span of a new trace."""
        is_sampled = self._send is not None and random() < self._share  # noqa: S311 - no secret
        return Span(f"{getrandbits(128) or 1:032x}", _span_id(), "", is_sampled)

    def wants(self, span: Span) -> bool:
        """Whether it is worth to tell of the end of this span."""
        return self.is_on and span.is_sampled

    def finish(self, finished: Finished) -> None:
        if self._send is not None:
            self._send(finished)


def _span_id() -> str:
    return f"{getrandbits(64) or 1:016x}"


class Trace:
    """The place of one piece of work in a trace. Its span is made when somebody asks: most reads need none."""

    __slots__ = ("_parent", "_span", "_state", "_tracer")

    def __init__(self, tracer: Tracer, parent: str | None = None, state: str | None = None) -> None:
        """`parent` and `state` are the headers `traceparent` and `tracestate` of a request."""
        self._tracer = tracer
        self._parent = parent
        self._state = state
        self._span: Span | None = None

    @property
    def span(self) -> Span:
        if self._span is None:
            self._span = self._tracer.follow(self._parent, self._state)
        return self._span

    @property
    def shown_id(self) -> str:
        """The trace id, where anybody else knows it or may come to know it; else empty."""
        is_known = self._span is not None or self._parent is not None or self._tracer.is_on
        return self.span.trace_id if is_known else ""


NO_TRACE: Final = Trace(Tracer())
"""Before there is one."""
current: Final[ContextVar[Trace | None]] = ContextVar("current", default=None)


def headers() -> dict[str, str]:
    """For a request that we make now; none where it belongs to nothing."""
    trace = current.get()
    return {} if trace is None else trace.span.headers
