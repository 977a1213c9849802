"""Waiting for a decision: one who gives up takes nothing from the others."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from catalog_server.errors import Unavailable
from catalog_server.http import decisions
from catalog_server.http.decisions import decision


async def waiting(answer: Future[bool], number: int) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.ensure_future(decision(answer)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("answer", [True, False])
def test_decision_when_kept_then_given_at_once(answer: bool) -> None:
    assert asyncio.run(decision(answer)) is answer


def test_caller_when_canceled_then_the_others_get_their_decision() -> None:
    async def run() -> list[bool]:
        answer: Future[bool] = Future()
        first, *others = await waiting(answer, 3)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not answer.cancelled()
        answer.set_result(True)
        return await asyncio.gather(*others)

    assert asyncio.run(run()) == [True, True]


def test_callers_when_all_are_canceled_then_a_late_error_is_no_trouble() -> None:
    troubles: list[object] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
        answer: Future[bool] = Future()
        for task in await waiting(answer, 2):
            task.cancel()
        await asyncio.sleep(0)
        answer.set_exception(Unavailable("down"))
        await asyncio.sleep(0)

    asyncio.run(run())
    assert troubles == []


def test_review_when_it_never_ends_then_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_PATIENCE_SECONDS", 0.01)
    with pytest.raises(Unavailable, match="authorization check failed"):
        asyncio.run(decision(Future()))
