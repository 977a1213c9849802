"""db/dsn.py: every accepted form, every refusal, and that no password is ever shown."""

from __future__ import annotations

import ssl
import types
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.db.dsn import DatabaseTarget, parse_dsn
from catalog_server.errors import Invalid


def connect_arguments(target: DatabaseTarget) -> dict[str, object]:
    """What the driver's connect() would get."""
    _, arguments = target.url.get_dialect()().create_connect_args(target.url)
    return {key: value for key, value in arguments.items() if key not in ("client_flag", "context")}


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        (
            "postgres://catalog:catalog@postgres:5432/catalog?sslmode=disable",
            {
                **{"host": "postgres", "port": 5432, "user": "catalog", "password": "catalog"},
                **{"dbname": "catalog", "sslmode": "disable"},
            },
        ),
        ("postgresql://h/d", {"host": "h", "dbname": "d"}),
        ("POSTGRES://u@[::1]:5433/d", {"host": "::1", "port": 5433, "user": "u", "dbname": "d"}),
        ("postgres://u:p%40%3A%2F%25@h/d%20x", {"host": "h", "user": "u", "password": "p@:/%", "dbname": "d x"}),
        ("postgres://u:p@ss:w@h/d", {"host": "h", "user": "u", "password": "p@ss:w", "dbname": "d"}),
        ("postgres://u:@h/d", {"host": "h", "user": "u", "dbname": "d"}),
        (
            "postgres://h/d?user=u&port=1",
            {"host": "h", "user": "u", "port": 1, "dbname": "d"},
        ),
        ("postgres://u@/d?host=/run/pg&port=5433", {"host": "/run/pg", "port": "5433", "user": "u", "dbname": "d"}),
        ("postgres://%2Frun%2Fpg/d", {"host": "/run/pg", "dbname": "d"}),
        ("postgres://h1:1,[::1]:2,h3/d", {"host": "h1,::1,h3", "port": "1,2,5432", "dbname": "d"}),
        ("postgres://h/d?TimeZone=UTC&pool_max_conns=4", {"host": "h", "dbname": "d"}),
        ("postgres://h/d?search_path=a,%20b", {"host": "h", "dbname": "d", "options": r"-c search_path=a,\ b"}),
        (
            "postgres://h/d?options=-c%20geqo%3Doff&search_path=s",
            {"host": "h", "dbname": "d", "options": "-c geqo=off -c search_path=s"},
        ),
        (
            "host=h port=5432 user=u password=p dbname=d sslmode=disable TimeZone=Asia/Shanghai",
            {"host": "h", "port": 5432, "user": "u", "password": "p", "dbname": "d", "sslmode": "disable"},
        ),
        (
            r" host = h  password = 'it\'s a \\ @/:' dbname=d ",
            {"host": "h", "password": r"it's a \ @/:", "dbname": "d"},
        ),
        (r"dbname=d password=a\ b'c", {"dbname": "d", "password": "a b'c"}),
        ("host=/run/pg dbname=d", {"host": "/run/pg", "dbname": "d"}),
        ("host=a,::1 port=1,2 dbname=d", {"host": "a,::1", "port": "1,2", "dbname": "d"}),
        ("host=a,b port=7 dbname=d", {"host": "a,b", "port": "7,7", "dbname": "d"}),
        ("host=::1 dbname=d", {"host": "::1", "dbname": "d"}),
    ],
)
def test_postgres(dsn: str, expected: dict[str, object]) -> None:
    target = parse_dsn(dsn, None)
    assert target.type == "postgres"
    assert target.url.drivername == "postgresql+psycopg"
    assert connect_arguments(target) == expected
    assert parse_dsn(dsn, "postgres") == target


MYSQL = {"host": "h", "port": 3306, "user": "u", "password": "p", "database": "d"}


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("mysql://u:p@h:3307/d", {**MYSQL, "port": 3307}),
        ("mariadb://u:p@h/d", MYSQL),
        ("mysql://u:p%40%2F@h/d?parseTime=true&loc=UTC", {**MYSQL, "password": "p@/"}),
        ("mysql://u:p%3Fx@h/d?charset=latin1", {**MYSQL, "password": "p?x"}),
        ("u:p@tcp(h:3306)/d", MYSQL),
        ("u:p@tcp(h)/d?parseTime=true&timeout=5s&multiStatements=true&collation=utf8mb4_bin", MYSQL),
        ("u:p@tcp([::1]:3306)/d", {**MYSQL, "host": "::1"}),
        ("u:p@w:/x@tcp(h)/d", {**MYSQL, "password": "p@w:/x"}),
        ("u:p?x@tcp(h)/d", {**MYSQL, "password": "p?x"}),
        ("u:p)(@tcp(h)/d", {**MYSQL, "password": "p)("}),
        ("u://p@tcp(h)/d", {**MYSQL, "password": "//p"}),
        ("u:p%40@tcp(h)/d", {**MYSQL, "password": "p%40"}),
        ("u:p@/d", {**MYSQL, "host": "127.0.0.1"}),
        ("u:p@tcp/d", {**MYSQL, "host": "127.0.0.1"}),
        ("u:p@unix(/run/my.sock)/d", {**MYSQL, "host": "localhost", "port": None, "unix_socket": "/run/my.sock"}),
        ("u:p@unix/d", {**MYSQL, "host": "localhost", "port": None, "unix_socket": "/tmp/mysql.sock"}),
        ("u@tcp(h)/d", {**MYSQL, "password": None}),
        ("u:p@tcp(h)/d?tls=skip-verify", {**MYSQL, "ssl": {"check_hostname": False}}),
        ("u:p@tcp(h)/d?tls=false", {**MYSQL, "ssl_disabled": "true"}),
        ("u:p@tcp(h)/d?tls=preferred", MYSQL),
        ("u:p@tcp(h)/d?tls=true&ssl_ca=/ca.pem", {**MYSQL, "ssl": {"ca": "/ca.pem"}}),
        ("mysql://u:p@h/d?ssl_ca=/ca.pem&ssl_cert=/c", {**MYSQL, "ssl": {"ca": "/ca.pem", "cert": "/c"}}),
    ],
)
def test_mysql(dsn: str, expected: dict[str, object]) -> None:
    target = parse_dsn(dsn, None)
    assert target.type == "mysql"
    assert target.url.drivername == "mysql+pymysql"
    wanted = {"charset": "utf8mb4", **{key: value for key, value in expected.items() if value is not None}}
    got = connect_arguments(target)
    assert {("database" if key == "db" else key): value for key, value in got.items()} == wanted
    assert parse_dsn(dsn, "mysql") == target


@pytest.mark.parametrize(
    ("paths", "expected"),
    [(("/ca.pem", None), {"ssl_ca": "/ca.pem"}), ((None, "/certs"), {"ssl_capath": "/certs"}), ((None, None), None)],
)
def test_mysql_tls_true_verifies_against_the_system(
    monkeypatch: pytest.MonkeyPatch, paths: tuple[str | None, str | None], expected: dict[str, str] | None
) -> None:
    found = types.SimpleNamespace(cafile=paths[0], capath=paths[1])
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
    if expected is None:
        with pytest.raises(Invalid, match="CA certificates"):
            parse_dsn("u@tcp(h)/d?tls=true", None)
    else:
        assert dict(parse_dsn("u@tcp(h)/d?tls=true", None).url.query) == {"charset": "utf8mb4", **expected}


@pytest.mark.parametrize(
    ("dsn", "path"),
    [
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:////abs/path.db", "/abs/path.db"),
        ("sqlite:////abs/with%20blank%3F.db", "/abs/with blank?.db"),
    ],
)
def test_sqlite(dsn: str, path: str) -> None:
    target = parse_dsn(dsn, None)
    assert (target.type, target.url.drivername, target.url.database) == ("sqlite", "sqlite+pysqlite", path)
    assert parse_dsn(dsn, "sqlite") == target


@pytest.mark.parametrize(
    ("dsn", "db_type", "message"),
    [
        ("sqlite://", None, "lost at every restart"),
        ("sqlite:///", None, "lost at every restart"),
        ("sqlite:///:memory:", None, "lost at every restart"),
        ("sqlite://host/path", None, "sqlite:///relative"),
        ("/data/catalog", "sqlite", "sqlite:///relative"),
        ("data.db", "sqlite", "sqlite:///relative"),
        ("sqlite:///a.db?mode=memory", None, "no parameters"),
        ("sqlite:///file:a", None, "no parameters"),
        ("", None, "no known form"),
        ("oracle://u:hunter2@h/d", None, "no known form"),
        ("oracle://u:hunter2@h/d", "postgres", "malformed"),
        ("oracle://u:hunter2@h/d", "mysql", "malformed"),
        ("postgres://h/d", "oracle", "database type is not known"),
        ("postgres://u:hunter2@h/d", "mysql", "'mysql' contradicts .* 'postgres'"),
        ("u:hunter2@tcp(h)/d", "postgres", "'postgres' contradicts .* 'mysql'"),
        ("host=h password=hunter2", "sqlite", "'sqlite' contradicts .* 'postgres'"),
        ("postgres://u:hunter2@h/d\x00", None, "control characters"),
        ("postgres://u:hunter2@h", None, "names no database"),
        ("postgres://u:hunter2@h/", None, "names no database"),
        ("host=h user=u", None, "names no database"),
        ("u:hunter2@tcp(h)/", None, "names no database"),
        ("postgres://u:hunter2@h:99999/d", None, "port"),
        ("postgres://u:hunter2@h/d?port=x", None, "port"),
        ("postgres://u:hunter2@h:x/d", None, "host or port"),
        ("postgres://u:hunter2@::1/d", None, "host or port"),
        ("postgres://u:hunt/er2@h/d", None, "%40, %2F and %3F"),
        ("postgres://u:5432/hunter2@h/d", None, "%40, %2F and %3F"),
        ("postgres://u:5432?hunter2=@h/d", None, "%40, %2F and %3F"),
        ("postgres://h/a/b", None, "%40, %2F and %3F"),
        ("postgres://u:hunter2@h/d?colour=red", None, "unknown parameter 'colour'"),
        ("postgres://h/d?password=x&hunter2", None, "before the @"),
        ("host=h dbname=d colour=red", None, "key number 3"),
        ("host=h dbname=d password=hunter 2", None, "malformed"),
        ("host=h dbname=d password='hunter2", None, "malformed"),
        ("host=a,b port=1,2,3 dbname=d", None, "number of hosts and ports"),
        ("u:hunter2@tcp(h)/d?a=1?b=2", None, "at most one"),
        ("mysql://u:hunter2@h/d?a=1?b=2", None, "at most one"),
        ("u:hunter2@tcp(h)/d%3Fx", None, "must not hold"),
        ("mysql://u:hunter2@h/d%3Fx", None, "must not hold"),
        ("u:hunter2@tcp(h)/d?colour=red", None, "unknown parameter 'colour'"),
        ("u:hunter2@tcp(h)/d?tls=custom", None, "'tls' must be"),
        ("u:hunter2@h:3306/d", "mysql", "malformed"),
        ("u:hunter2@tcp(h:x)/d", None, "host or port"),
        ("mysql://u:hunter2@h1,h2/d", None, "one host only"),
    ],
)
def test_refused(dsn: str, db_type: str | None, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        parse_dsn(dsn, db_type)
    assert caught.value.field == "DATABASE_DSN"
    assert caught.value.code == "dsn_invalid"
    assert "hunter" not in str(caught.value)
    assert caught.value.__context__ is None


PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=20).map(lambda t: f"Zz{t}")
FORMS = (
    "postgres://u:{}@h/d",
    "postgres://u:{}@h:5432/d?sslmode=disable",
    "postgres://h/d?password={}",
    "mysql://u:{}@h/d",
    "u:{}@tcp(h:3306)/d?parseTime=true",
    "u:{}@unix(/run/s)/d",
    "host=h password={} dbname=d",
    "sqlite://{}",
    "nonsense{}",
)


TYPES = (None, "postgres", "mysql", "sqlite")


def shown_for(dsn: str, db_type: str | None) -> str:
    """All text that a caller could print."""
    try:
        target = parse_dsn(dsn, db_type)
    except Invalid as error:
        return f"{error} {error!r} {error.__context__!r}"
    return f"{target} {target!r} {target.url} {target.url!r}" if target.type != "sqlite" else ""


FIXED_TEXTS = " ".join(
    shown_for(form.format(filler), db_type)
    for form in FORMS
    for db_type in TYPES
    for filler in ("", "/", "?", "?a", "@", "%3F", "'", ",", "x")
)


@given(PASSWORDS, st.sampled_from(FORMS), st.sampled_from(TYPES))
def test_a_raw_password_is_in_no_error_and_no_repr(password: str, form: str, db_type: str | None) -> None:
    """Not even four characters of it, unless these are words of the fixed messages."""
    shown = shown_for(form.format(password), db_type)
    for start in range(len(password) - 3):
        piece = password[start : start + 4]
        assert piece not in shown or piece in FIXED_TEXTS


@given(PASSWORDS)
def test_an_encoded_password_arrives_whole(password: str) -> None:
    for scheme in ("postgres", "mysql"):
        target = parse_dsn(f"{scheme}://u:{quote(password, safe='')}@h/d", None)
        assert target.url.password == password


@given(PASSWORDS.filter(lambda text: text.count("?") == 0))
def test_a_raw_password_of_the_go_form_arrives_whole(password: str) -> None:
    assert parse_dsn(f"u:{password}@tcp(h:3306)/d?parseTime=true", None).url.password == password


@given(PASSWORDS)
def test_a_quoted_password_of_the_libpq_form_arrives_whole(password: str) -> None:
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    assert parse_dsn(f"host=h dbname=d password='{quoted}'", None).url.password == password
