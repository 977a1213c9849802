"""What answers mean: statuses, and which validators can be trusted."""

from __future__ import annotations

import pytest

from catalog_server.errors import CatalogError, Invalid
from catalog_server.providers.http_client import read_validators, refusal
from tests.unit.providers.heads import head

DATE = "Mon, 06 May 2024 07:08:09 GMT"
EARLIER = "Mon, 06 May 2024 07:08:07 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (None, None)),
        ({"ETag": '"1"', "Last_Modified": EARLIER, "Date": DATE}, ('"1"', EARLIER)),
        ({"ETag": 'W/"1"'}, ('W/"1"', None)),
        ({"Last_Modified": EARLIER}, (None, EARLIER)),
        ({"Last_Modified": DATE, "Date": DATE}, (None, None)),
        ({"Last_Modified": "yesterday"}, (None, None)),
        ({"ETag": '"1"', "Cache_Control": "private, No-Store"}, (None, None)),
        ({"ETag": '"ä"'}, (None, None)),
        ({"ETag": '"' + "x" * 2000 + '"'}, (None, None)),
    ],
)
def test_validators_then_only_those_that_can_be_trusted(
    headers: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    assert read_validators(head(**headers)) == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((401, "auth_failed"), (403, "auth_failed"), (404, "not_found"), (410, "not_found")),
        *((400, "status_unexpected"), (418, "status_unexpected"), (204, "status_unexpected")),
        *((300, "status_unexpected"), (304, "status_unexpected"), (103, "status_unexpected")),
    ],
)
def test_status_that_stays_then_invalid(status: int, code: str) -> None:
    error = refusal(status, head(), "example.com", is_stripped=False)
    assert isinstance(error, Invalid)
    assert error.code == code
    assert str(status) in error.message
    assert "example.com" in error.message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
def test_status_that_may_pass_then_no_final_error(status: int) -> None:
    assert not isinstance(refusal(status, head(), "example.com", is_stripped=False), CatalogError)
