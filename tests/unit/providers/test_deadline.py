"""A deadline that holds over many small waits."""

from __future__ import annotations

import time

import pytest

from catalog_server.providers.deadline import Deadline


def test_time_left_then_how_much() -> None:
    deadline = Deadline.after(100)
    assert 99 < deadline.remaining() <= 100
    assert deadline.allows(50)
    assert not deadline.allows(101)


def test_no_time_left_then_timeout() -> None:
    deadline = Deadline(time.monotonic())
    assert not deadline.allows(0)
    with pytest.raises(TimeoutError):
        deadline.remaining()
