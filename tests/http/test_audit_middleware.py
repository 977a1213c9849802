"""The audit middleware where the rest of the server does what it seldom does: refuses who asks, hangs, or stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from catalog_server.audit.event import Event, EventFilter
from catalog_server.audit.spool import Spool
from catalog_server.audit.trail import Trail
from catalog_server.db.migrate import migrate
from catalog_server.errors import Unauthenticated
from catalog_server.http.messages import Request, Response
from catalog_server.http.middleware import audit as module
from catalog_server.http.middleware.audit import audit
from catalog_server.http.problems import problems
from catalog_server.http.router import Audited, Operation, Route
from catalog_server.scope import DEFAULT_SCOPE
from tests.contract.audit.trails import build_trail
from tests.contract.jobs.queues import open_test_engine

Following = Callable[[Request], Awaitable[Response]]
ROUTE = Route(
    "/things/{name...}",
    lambda request: Response(200, b""),
    Operation("", ""),
    "POST",
    permission=None,
    audited=Audited("change", "things", "skills"),
)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    engine = open_test_engine(f"sqlite:///{tmp_path / 'a.db'}")
    migrate(engine)
    yield build_trail(engine, Spool(tmp_path / "audit"))
    engine.dispose()


def request() -> Request:
    async def receive() -> object:
        raise AssertionError("no body is read here")

    asgi = {"method": "POST", "path": "/things/a", "query_string": b"", "headers": []}
    found = Request(asgi, receive)
    found.id, found.route, found.params = "r-1", ROUTE, {"name": "a%2Fb"}
    return found


def events(trail: Trail) -> tuple[Event, ...]:
    return trail.list_events(DEFAULT_SCOPE, EventFilter(), page_size=100).events


async def refuse(_: Request) -> Response:
    raise Unauthenticated("the token has expired")


def test_who_is_not_known_is_recorded(trail: Trail) -> None:
    """A 401 of a change is an event, with the reason, of nobody."""
    response = asyncio.run(call(audit(trail)(problems(refuse))))
    assert response.status == 401
    (found,) = events(trail)
    assert (found.status_code, found.outcome, found.reason) == (401, "failure", "the token has expired")
    assert (found.actor, found.resource_ids, found.metadata["errorCode"]) == ("anonymous", ("a/b",), "unauthorized")


def test_what_the_stop_of_the_server_cuts_short_is_recorded(trail: Trail) -> None:
    async def hang(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def stop() -> None:
        task = asyncio.ensure_future(call(audit(trail)(problems(hang))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop())
    assert events(trail) == ()
    assert trail.drain() == 1
    assert [one.status_code for one in events(trail)] == [500]


def test_a_database_that_hangs_does_not_keep_the_answer(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is in the spool by then; that the database takes it after all makes it no second one."""
    monkeypatch.setattr(module, "_DEADLINE_SECONDS", 0.05)
    goes_on, write = threading.Event(), trail.write
    monkeypatch.setattr(trail, "write", lambda _: goes_on.wait(20))

    async def answer(_: Request) -> Response:
        return Response(200, b"")

    assert asyncio.run(call(audit(trail)(answer))).status == 200
    goes_on.set()
    assert events(trail) == ()
    assert trail.drain() == 1
    write(*events(trail))  # as the thread would that has waited
    assert [one.status_code for one in events(trail)] == [200]


async def call(handler: Following) -> Response:
    return await handler(request())
