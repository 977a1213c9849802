"""ETag, 304, the response cache, HEAD and compression (architecture.md 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_files import named, write_catalog, write_sources
from tests.http.client import LISTS, MODELS, SKILLS, Client, open_client

VERSIONED = (*LISTS, *(f"{path}/filter_options" for path in LISTS), f"{SKILLS}?q=a&pageSize=3", f"{MODELS}?view=asset")


class Editable:
    """A client, and the catalog file that it serves."""

    def __init__(self, folder: Path, client: Client, file: Path) -> None:
        self.folder, self.client, self.file = folder, client, file

    def write(self, *names: str) -> None:
        write_catalog(self.file, "skills", named(*names))
        self.client.refresh()


@pytest.fixture(params=["0", "16777216"], ids=["uncached", "cached"])
def editable(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Editable]:
    file = write_catalog(tmp_path / "skills.yaml", "skills", named("one"))
    sources = write_sources(tmp_path / "s.yaml", {"skills": [{"id": "s", "path": file}]})
    with open_client(tmp_path / "data", sources, CATALOG_RESPONSE_CACHE_BYTES=request.param) as client:
        yield Editable(tmp_path, client, file)


@pytest.mark.parametrize("path", VERSIONED)
def test_not_modified(sample: Client, path: str) -> None:
    first = sample.get(path)
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    for wanted in (etag, etag.removeprefix("W/"), f'"other", {etag}', f'{etag},"x"', "*"):
        second = sample.get(path, headers={"If-None-Match": wanted})
        assert (second.status_code, second.content) == (304, b""), wanted
        assert second.headers["etag"] == etag
        assert "content-type" not in second.headers
        assert "content-length" not in second.headers
    for wanted in ('W/"other"', "", '"', "W/", etag[:-2]):
        assert sample.get(path, headers={"If-None-Match": wanted}).content == first.content, wanted


def test_different_questions_have_different_etags(sample: Client) -> None:
    paths = [*VERSIONED, f"{MODELS}?pageSize=1", f"{MODELS}?pageSize=2", f"{MODELS}?pageSize=2&"]
    etags = {sample.get(path).headers["etag"] for path in paths}
    assert len(etags) == len(paths)


@pytest.mark.parametrize("path", [f"{SKILLS}/nobody", f"{SKILLS}?orderBy=nope", f"{SKILLS}?pageToken=x"])
def test_a_wildcard_does_not_hide_an_error(sample: Client, path: str) -> None:
    status = sample.get(path).status_code
    assert status in (400, 404)
    response = sample.get(path, headers={"If-None-Match": "*"})
    assert response.status_code == status
    assert "etag" not in response.headers


def test_a_change_of_data_is_seen_at_once(editable: Editable) -> None:
    client = editable.client
    for _ in range(2):  # the second answer comes from the cache
        assert client.names(SKILLS) == ["one"]
    before = client.get(SKILLS).headers["etag"]
    options = client.get(f"{SKILLS}/filter_options").headers["etag"]
    editable.write("one", "two")
    assert client.names(SKILLS) == ["one", "two"]
    response = client.get(SKILLS, headers={"If-None-Match": before})
    assert response.status_code == 200
    assert response.headers["etag"] != before
    assert client.get(f"{SKILLS}/filter_options").headers["etag"] != options
    editable.write("two")
    assert client.names(SKILLS) == ["two"]
    client.error(f"{SKILLS}/one", 404)


def test_a_file_that_says_the_same_changes_nothing(editable: Editable) -> None:
    before = editable.client.get(SKILLS).headers["etag"]
    editable.file.write_text(editable.file.read_text() + "# a comment\n")
    editable.client.refresh()
    assert editable.client.get(SKILLS, headers={"If-None-Match": before}).status_code == 304


def test_a_change_of_the_configuration_is_seen_at_once(editable: Editable) -> None:
    client = editable.client
    before = client.get(f"{SKILLS}/filter_options")
    assert "namedQueries" not in before.json()
    write_sources(
        editable.folder / "s.yaml",
        {"skills": [{"id": "s", "path": editable.file, "labels": ["L"]}]},
        skills={"namedQueries": {"first": {"name": {"operator": "=", "value": "one"}}}},
    )
    assert client.ok(SKILLS, sourceLabel="L")["items"] == []
    client.refresh()
    assert client.names(SKILLS, sourceLabel="L") == ["one"]
    assert "namedQueries" in client.ok(f"{SKILLS}/filter_options")
    assert client.get(f"{SKILLS}/filter_options").headers["etag"] != before.headers["etag"]


def test_errors_are_not_kept(editable: Editable) -> None:
    client = editable.client
    client.error(f"{SKILLS}/two", 404)
    editable.write("two")
    assert client.ok(f"{SKILLS}/two")["name"] == "two"


@pytest.mark.parametrize("path", ["/", "/livez", "/openapi.json", "/api/plugins", *VERSIONED, "/nowhere"])
def test_head_is_get_without_a_body(sample: Client, path: str) -> None:
    plain = {"Accept-Encoding": "identity"}
    get, head = sample.get(path, headers=plain), sample.request("HEAD", path, headers=plain)
    assert head.status_code == get.status_code
    assert head.content == b""
    own = {"x-request-id", "x-cache", "content-length"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }
    if path != "/livez":  # its body holds the time
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_head_answers_conditions(sample: Client) -> None:
    etag = sample.get(SKILLS).headers["etag"]
    assert sample.request("HEAD", SKILLS, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["/openapi.json", MODELS])
def test_gzip(sample: Client, path: str) -> None:
    plain = sample.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for _ in range(2):
        packed = sample.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content)
        assert packed.content == plain.content
        assert packed.headers.get("etag") == plain.headers.get("etag")


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0, br", "identity;q=1, gzip;q=0", "xgzip"])
def test_no_gzip_where_it_is_refused(sample: Client, accepted: str) -> None:
    response = sample.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in response.headers


def test_small_answers_are_not_compressed(sample: Client) -> None:
    response = sample.get("/api/tenancy/v1alpha1/namespaces", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in response.headers


IDENTITY = {"Authorization", "X-Remote-User", "X-Remote-Group", "X-User-Role"}


@pytest.mark.parametrize("path", ["/", "/api/plugins", MODELS, "/nowhere", f"{SKILLS}?orderBy=nope"])
def test_headers_of_every_answer(sample: Client, path: str) -> None:
    """All that shapes an answer is named, and nobody may keep one for somebody else."""
    headers = sample.get(path).headers
    assert set(headers["vary"].split(", ")) == {"Accept-Encoding", "Origin", "X-Namespace", *IDENTITY}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-cache"


def test_headers_of_probes(sample: Client) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        headers = sample.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
