"""URLs taken apart: one meaning or none, and nothing of the query shown."""

from __future__ import annotations

import pytest

from catalog_server.providers.http_target import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/"), "example.com"),
        ("HTTPS://Example.COM:443/A.yaml", Target("https", "example.com", 443, "/A.yaml"), "example.com"),
        ("http://example.com:8080/?", Target("http", "example.com", 8080, "/", ""), "example.com:8080"),
        ("http://my_service/a;b?x=1&y=?", Target("http", "my_service", 80, "/a;b", "x=1&y=?"), "my_service"),
        ("http://192.0.2.1/%20", Target("http", "192.0.2.1", 80, "/%20"), "192.0.2.1"),
        ("https://[2001:DB8:0::1]:8443/a", Target("https", "2001:db8::1", 8443, "/a"), "[2001:db8::1]:8443"),
    ],
)
def test_good_url_then_its_parts(url: str, target: Target, authority: str) -> None:
    found = parse_target(url)
    assert (found, found.authority) == (target, authority)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must begin with"),
        ("example.com/a", "must begin with"),
        ("ftp://example.com/a", "must begin with"),
        ("file:///etc/passwd", "must begin with"),
        ("https:example.com", "must have the form"),
        ("https:///a", "must have the form"),
        ("https://user@example.com/", "must not hold a user"),
        ("https://s3cret:s3cret@example.com/", "must not hold a user"),
        ("https://example.com/a#s3cret", "fragment"),
        ("https://example.com/a#", "fragment"),
        ("https://example.com/a b", "%xx"),
        ("https://example.com/ä", "%xx"),
        ("https://exämple.com/", "%xx"),
        ("https://example.com\\@evil.test/", "%xx"),
        ("https://example.com/\r\nX: s3cret", "%xx"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:/", "must have the form"),
        ("https://example.com:8a/", "must have the form"),
        ("https://[::1/", "is no URL"),
        ("https://[fe80::1%25eth0]/", "must have the form"),
        ("https://[1.2.3.4]/", "is no URL|no IPv6"),  # releases of Python differ
        ("https://-x/", "cannot be the name"),
        ("https://a..b/", "cannot be the name"),
        ("https://example.com./", "cannot be the name"),
        (f"https://{'a' * 64}/", "cannot be the name"),
        (f"https://{'a.' * 130}b/", "cannot be the name"),
        ("https://example.com/" + "x" * 4096, "4096"),
        *((f"http://{host}/", "odd form") for host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1")),
        *((f"http://{host}/", "odd form") for host in ("1.2.3.4.5", "1.2.3.08", "256.1.1.1", "example.0x1")),
    ],
)
def test_odd_url_then_refused_and_not_repeated(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        parse_target(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_query_then_shown_nowhere() -> None:
    target = parse_target("https://example.com/a?key=s3cret")
    assert target.shown == "https://example.com/a"
    assert target.request_path == "/a?key=s3cret"
    for text in (repr(target), target.digest):
        assert "s3cret" not in text
    assert target.digest != parse_target("https://example.com/a?key=other").digest


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("b", "https://example.com/x/b"),
        ("/b?y#z", "https://example.com/b"),
        ("?y", "https://example.com/x/a"),
        ("//other.test/b", "https://other.test/b"),
        ("http://other.test", "http://other.test/"),
        ("../../../b", "https://example.com/b"),
        ("/\xc3\xa4 |", "https://example.com/%C3%A4%20%7C"),
    ],
)
def test_location_then_where_it_leads(location: str, expected: str) -> None:
    assert parse_target("https://example.com/x/a?q").follow(location).shown == expected


@pytest.mark.parametrize("location", ["", " ", "javascript:x", "http://a@b/", "http://127.1/", "//[", "/\u20ac"])
def test_location_that_leads_nowhere_then_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_target("https://example.com/").follow(location)
