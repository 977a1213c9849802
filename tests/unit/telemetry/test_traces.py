"""W3C Trace Context: what is followed, what begins anew, and what is handed on."""

from __future__ import annotations

import re

import pytest

from catalog_server.telemetry import traces
from catalog_server.telemetry.traces import Finished, Trace, Tracer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"


def test_a_valid_parent_is_followed_with_an_id_of_our_own() -> None:
    span = Tracer().follow(VALID, "vendor=1")
    assert (span.trace_id, span.parent_id, span.is_sampled, span.state) == (TRACE, PARENT, True, "vendor=1")
    assert re.fullmatch("[0-9a-f]{16}", span.span_id)
    assert span.span_id != PARENT
    assert span.headers == {"traceparent": f"00-{TRACE}-{span.span_id}-01", "tracestate": "vendor=1"}


@pytest.mark.parametrize(("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_caller_decides_whether_its_trace_is_sampled(flags: str, is_sampled: bool) -> None:
    span = Tracer(lambda _: None, share=1.0).follow(f"00-{TRACE}-{PARENT}-{flags}", None)
    assert span.is_sampled is is_sampled
    assert span.headers["traceparent"].endswith("-01" if is_sampled else "-00")


def test_a_later_version_may_say_more() -> None:
    assert Tracer().follow(f"01-{TRACE}-{PARENT}-01-more", None).trace_id == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        "hello",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01-more",
        f"01-{TRACE}-{PARENT}-01more",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0g",
    ],
)
def test_an_invalid_parent_begins_a_new_trace(given: str) -> None:
    span = Tracer().follow(given, "vendor=1")
    assert re.fullmatch("[0-9a-f]{32}", span.trace_id)
    assert span.trace_id != TRACE
    assert (span.parent_id, span.state) == ("", "")


@pytest.mark.parametrize("state", ["x" * 513, "vendor=\u00e4", "a=1\r\nInjected: 1"])
def test_a_state_that_cannot_be_handed_on_is_dropped(state: str) -> None:
    assert Tracer().follow(VALID, state).headers.keys() == {"traceparent"}


def test_without_a_collector_nothing_is_sampled_by_us() -> None:
    tracer = Tracer(share=1.0)
    span = tracer.begin()
    assert not span.is_sampled
    assert not tracer.wants(span)
    assert not tracer.wants(tracer.follow(VALID, None))


@pytest.mark.parametrize(("share", "is_sampled"), [(0.0, False), (1.0, True)])
def test_a_share_of_the_traces_that_begin_here_is_sampled(share: float, is_sampled: bool) -> None:
    sent: list[Finished] = []
    tracer = Tracer(sent.append, share)
    span = tracer.begin()
    assert tracer.wants(span) is is_sampled
    tracer.finish(Finished(span, "work", "internal", 1.0, 2.0, {}))
    assert [one.name for one in sent] == ["work"]


def test_what_we_ask_of_others_belongs_to_the_work_at_hand() -> None:
    assert traces.headers() == {}
    trace = Trace(Tracer(), VALID, "vendor=1")
    token = traces.current.set(trace)
    try:
        assert traces.headers() == trace.span.headers
        assert traces.headers()["traceparent"].startswith(f"00-{TRACE}-")
    finally:
        traces.current.reset(token)


def test_a_trace_that_nobody_else_knows_of_is_not_shown() -> None:
    """Until something is asked of others, or told of it: from then on its id is of use."""
    trace = Trace(Tracer())
    assert trace.shown_id == ""
    assert trace.span is trace.span
    assert trace.shown_id == trace.span.trace_id
    assert Trace(Tracer(), VALID).shown_id == TRACE
    assert re.fullmatch("[0-9a-f]{32}", Trace(Tracer(lambda _: None)).shown_id)
