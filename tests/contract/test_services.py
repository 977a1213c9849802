"""The databases that the contract tests run on are there, new enough, and compare text as we expect."""

from __future__ import annotations

import re
from contextlib import closing
from urllib.parse import urlsplit

from tests.databases import connect, fetch_value

OLDEST = {"sqlite": (3, 35), "postgres": (14,), "mysql": (10, 6)}
VERSION_QUERY = {"sqlite": "SELECT sqlite_version()", "postgres": "SHOW server_version", "mysql": "SELECT version()"}


def test_database_when_asked_answers(database: str) -> None:
    assert fetch_value(database, "SELECT 1") == 1


def test_database_version_is_one_that_we_support(database: str) -> None:
    engine = urlsplit(database).scheme

    version = fetch_value(database, VERSION_QUERY[engine])

    assert tuple(map(int, re.findall(r"\d+", version)[:3])) >= OLDEST[engine], version


def test_database_tells_letters_apart_and_keeps_all_of_unicode(database: str) -> None:
    with closing(connect(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("CREATE TABLE words (word VARCHAR(20))")
        cursor.execute("INSERT INTO words VALUES ('fox'), ('Fox'), ('föx'), ('🦊')")
        cursor.execute("SELECT COUNT(*), MAX(word) FROM words WHERE word IN ('fox', '🦊')")

        assert cursor.fetchone() == (2, "🦊")
