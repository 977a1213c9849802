"""Cross-origin requests (spec http-api.md 0.3)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.http.client import MODELS, SKILLS, Client, open_client

ORIGIN = "https://ui.example.com"


def preflight(client: Client, path: str, origin: str = ORIGIN) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-namespace",
    }
    return client.request("OPTIONS", path, headers=headers)


def test_any_web_origin_by_default(sample: Client) -> None:
    for path, status in ((MODELS, 200), (f"{SKILLS}/nobody", 404), (f"{SKILLS}?orderBy=x", 400), ("/nowhere", 404)):
        response = sample.get(path, headers={"Origin": ORIGIN})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == "*"
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"ETag", "Link", "Retry-After", "X-Cache", "X-Request-Id"} == set(exposed)
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", ["null", "file://", "ftp://a", "chrome-extension://x", ""])
def test_other_schemes_get_nothing(sample: Client, origin: str) -> None:
    assert "access-control-allow-origin" not in sample.get(MODELS, headers={"Origin": origin}).headers
    assert "access-control-allow-origin" not in preflight(sample, MODELS, origin).headers


def test_no_origin_no_headers(sample: Client) -> None:
    assert not [name for name in sample.get(MODELS).headers if name.startswith("access-control")]


def test_preflight(sample: Client) -> None:
    for path in (MODELS, "/api/plugins", "/readyz", "/nowhere"):
        response = preflight(sample, path)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["access-control-allow-origin"] == "*"
        assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} == set(
            response.headers["access-control-allow-methods"].split(", ")
        )
        allowed = response.headers["access-control-allow-headers"].split(", ")
        assert {"X-Namespace", "Authorization", "Content-Type", "X-User-Role", "X-Correlation-ID"} <= set(allowed)
        # A script of some page must not say who its user is: that is for the proxy before the server.
        assert not [
            name for name in allowed if name.lower().startswith(("x-remote-", "x-user-principal", "x-forwarded"))
        ]
        assert response.headers["access-control-max-age"] == "300"


def test_configured_origins(tmp_path: Path) -> None:
    with open_client(tmp_path, CATALOG_CORS_ORIGINS="https://UI.example.com, http://localhost:9000") as client:
        for origin in (ORIGIN, "http://localhost:9000"):
            for response in (client.get(MODELS, headers={"Origin": origin}), preflight(client, MODELS, origin)):
                assert response.headers["access-control-allow-origin"] == origin
                assert "Origin" in response.headers["vary"]
        for origin in ("https://evil.example.com", "http://localhost:9001", "https://ui.example.com.evil.org", "null"):
            for response in (client.get(MODELS, headers={"Origin": origin}), preflight(client, MODELS, origin)):
                assert "access-control-allow-origin" not in response.headers


def test_preflight_needs_no_namespace(tmp_path: Path) -> None:
    with open_client(tmp_path, CATALOG_TENANCY_MODE="namespace") as client:
        assert preflight(client, MODELS).status_code == 204
        refused = client.get(MODELS, headers={"Origin": ORIGIN})
        assert refused.status_code == 400
        assert refused.headers["access-control-allow-origin"] == "*"
