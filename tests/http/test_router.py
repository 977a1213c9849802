"""The way from a path to a route."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from catalog_server.http.messages import Request, Response
from catalog_server.http.router import READS, Audited, Operation, Route, Router, decode_name


def route(template: str, method: str = "GET") -> Route:
    audited = None if method in READS else Audited("change", "things")
    return Route(
        template,
        lambda request: Response(200, template.encode()),
        Operation("", ""),
        method,
        permission=None,
        audited=audited,
    )


def request(path: str, method: str = "GET") -> Request:
    async def receive() -> object:
        raise AssertionError("no body is read here")

    asgi = {"method": method, "path": unquote(path), "raw_path": path.encode(), "query_string": b"", "headers": []}
    return Request(asgi, receive)


TEMPLATES = (
    *("/", "/a", "/a/{x}", "/a/{x}/b", "/a/fixed", "/b/{x}/c/{name...}", "/b/{x}/c/{name...}/d", "/b/{x}", "/.+"),
    "/b/{x}/c/{name...}/d/e",
)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/", "/", {}),
        ("/a", "/a", {}),
        ("/a/", None, {}),
        ("/a/fixed", "/a/fixed", {}),
        ("/a/other", "/a/{x}", {"x": "other"}),
        ("/a/other/b", "/a/{x}/b", {"x": "other"}),
        ("/a/other/b/", None, {}),
        ("/a//b", None, {}),
        ("/a/o%2Fp", None, {}),
        ("/a/o%0Ap", "/a/{x}", {"x": "o\np"}),
        ("/b/1/c/n", "/b/{x}/c/{name...}", {"x": "1", "name": "n"}),
        ("/b/1/c/n/m/", "/b/{x}/c/{name...}", {"x": "1", "name": "n/m/"}),
        ("/b/1/c/n%2Fm", "/b/{x}/c/{name...}", {"x": "1", "name": "n/m"}),
        ("/b/1/c/n/d", "/b/{x}/c/{name...}/d", {"x": "1", "name": "n"}),
        ("/b/1/c/n/d/d", "/b/{x}/c/{name...}/d", {"x": "1", "name": "n/d"}),
        ("/b/1/c/n/d/e", "/b/{x}/c/{name...}/d/e", {"x": "1", "name": "n"}),
        ("/b/1/c/d", "/b/{x}/c/{name...}", {"x": "1", "name": "d"}),
        ("/b/1/c/", None, {}),
        ("/b/1/c", None, {}),
        ("/b/1/c/n%0Am/d", "/b/{x}/c/{name...}/d", {"x": "1", "name": "n\nm"}),
        ("/axx", None, {}),
        ("/.+", "/.+", {}),
        ("/xyz", None, {}),
        ("", None, {}),
        ("//a", None, {}),
    ],
)
def test_match(order: int, path: str, template: str | None, params: dict[str, str]) -> None:
    asked = request(path)
    found = Router([route(one) for one in TEMPLATES[::order]]).match(asked)
    assert (found["GET"].template if found else None) == template
    if template:
        assert asked.params == params


def test_methods_of_one_path() -> None:
    router = Router([route("/a/{x}"), route("/a/{x}", "POST"), route("/b", "PUT")])
    assert set(router.match(request("/a/1"))) == {"GET", "POST"}
    assert set(router.match(request("/b"))) == {"PUT"}


@pytest.mark.parametrize(
    ("method", "template"), [("GET", "/e/{n...}"), ("POST", "/e/{n...}:do"), ("PUT", "/e/{n...}:do")]
)
def test_a_name_that_ends_as_another_template_does(method: str, template: str) -> None:
    router = Router([route("/e/{n...}"), route("/e/{n...}:do", "POST")])
    asked = request("/e/x:do")
    asked.method = method
    (found,) = router.match(asked).values()
    assert found.template == template
    assert asked.params == {"n": "x:do" if method == "GET" else "x"}


@pytest.mark.parametrize("template", ["/a", "/a/{x}"])
def test_two_routes_for_one_path_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="two routes"):
        Router([route(template), route(template)])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/n/a", "a"),
        ("/n/a%2Fb", "a/b"),
        ("/n/a%252Fb", "a/b"),
        ("/n/a%25252Fb", "a%2Fb"),
        ("/n/100%25", "100%"),
        ("/n/a+b", "a+b"),
        ("/n/%25ff", "\ufffd"),
    ],
)
def test_decode_name(path: str, name: str) -> None:
    router = Router([route("/n/{name...}")])
    asked = request(path)
    assert router.match(asked)
    assert decode_name(asked) == name


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("PATCH", "/g/n", "/g/{name...}"),
        ("PATCH", "/g/n%2Fm", "/g/{name...}"),
        ("GET", "/g/n/history", "/g/{name...}/history"),
        ("PATCH", "/g/n/history", None),
        ("GET", "/g/n/actions/go", None),
        ("PATCH", "/g/n%2Fhistory", None),
        ("PATCH", "/g/n%252Fhistory", "/g/{name...}"),
        ("GET", "/g/n:go", "/g/{name...}"),
        ("POST", "/g/n:go", "/g/{name...}:go"),
    ],
)
def test_a_path_below_a_name_is_no_name(method: str, path: str, template: str | None) -> None:
    """It is a path of its own, whatever the method; but the end of a name may look like the end of a template."""
    given = [("/g/{name...}", "GET"), ("/g/{name...}", "PATCH"), ("/g/{name...}/history", "GET")]
    given += [("/g/{name...}/actions/{action}", "POST"), ("/g/{name...}:go", "POST")]
    found = Router([route(*one) for one in given]).match(request(path, method))
    assert found, "some route has the path: 405 and not 404"
    assert (found[method].template if method in found else None) == template
