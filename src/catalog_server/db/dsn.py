"""Connection strings: the forms that operators write, turned into one SQLAlchemy URL. Pure, opens nothing.

Accepted: PostgreSQL URLs and libpq `key=value` text; `mysql://` URLs and the Go driver's
`user:password@tcp(host:3306)/name?parseTime=true`; `sqlite:///file`. No message and no repr shows a password, nor any
part of a text whose password cannot be told apart with certainty.

Which database type a form implies is decided in settings.py (`dsn_type`), which needs it before this layer exists.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from sqlalchemy.engine import URL

from catalog_server.errors import Invalid
from catalog_server.settings import DatabaseType, dsn_type

DRIVERS: dict[DatabaseType, str] = {
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "sqlite": "sqlite+pysqlite",
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POSTGRES_PASSED = _names(
    "application_name channel_binding client_encoding connect_timeout fallback_application_name gssencmode hostaddr"
    " keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts options passfile"
    " require_auth requirepeer ssl_max_protocol_version ssl_min_protocol_version sslcert sslcompression sslcrl"
    " sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout"
)
# Settings of the Go driver's pool and statement cache, and the time zone, which is always UTC here.
_POSTGRES_IGNORED = _names(
    "default_query_exec_mode description_cache_capacity pool_health_check_period pool_max_conn_idle_time"
    " pool_max_conn_lifetime pool_max_conn_lifetime_jitter pool_max_conns pool_min_conns statement_cache_capacity"
    " statement_cache_mode timezone"
)
_MYSQL_PASSED = _names("ssl_ca ssl_capath ssl_cert ssl_cipher ssl_key")
# How the Go driver converts and pools. The character set is always utf8mb4, times are always UTC.
_MYSQL_IGNORED = _names(
    "allowallfiles allowcleartextpasswords allowfallbacktoplaintext allownativepasswords allowoldpasswords charset"
    " checkconnliveness clientfoundrows collation columnswithalias compress connectionattributes interpolateparams loc"
    " maxallowedpacket multistatements parsetime readtimeout rejectreadonly timeout timetruncate writetimeout"
)
_HOST = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\](?::(?P<v6port>[0-9]+))?|(?P<host>[^:\[\]]*)(?::(?P<port>[0-9]+))?"
)
_KEY_VALUE = re.compile(
    r"\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?!')(?:[^\s\\]|\\.)*)(?=\s|$)", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """Which database, in the form that SQLAlchemy takes. `url` alone is enough to connect."""

    type: DatabaseType
    url: URL

    def __repr__(self) -> str:
        return f"DatabaseTarget({self.type}, {self.url.render_as_string(hide_password=True)})"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What all forms have in common."""

    user: str | None
    password: str | None = field(repr=False)
    host: str
    port: int | None
    database: str
    query: Mapping[str, str]


def parse_dsn(dsn: str, db_type: str | None) -> DatabaseTarget:
    """The target that `dsn` names. `db_type` is what the operator wants, or None to follow the DSN.

    Raises Invalid, with a message that never repeats the DSN.
    """
    text = dsn.strip()
    if db_type is not None and db_type not in DRIVERS:
        raise _invalid("the database type is not known; use postgres, mysql or sqlite")
    implied = dsn_type(text)
    if implied is not None and db_type is not None and implied != db_type:
        raise _invalid(f"the database type {db_type!r} contradicts the connection string, which is for {implied!r}")
    chosen = db_type or implied
    if chosen is None:
        raise _invalid(
            "the connection string has no known form; use postgres://…, mysql://…, user:password@tcp(host:3306)/name,"
            " sqlite:////path or host=… dbname=…"
        )
    if not text.isprintable():
        raise _invalid("the connection string holds control characters")
    return DatabaseTarget(chosen, _PARSERS[chosen](text))


def _invalid(message: str) -> Invalid:
    return Invalid(message, field="DATABASE_DSN", code="dsn_invalid")


# --- PostgreSQL -----------------------------------------------------------------------------------------------------


def _parse_postgres(dsn: str) -> URL:
    parts = _split_url(dsn) if _is_url(dsn, "postgres|postgresql") else _split_key_values(dsn)
    query = _check_postgres_query(parts.query)
    if "," in parts.host or parts.host.startswith(("/", "@")):
        # Several hosts and socket folders have no place in a URL's host; libpq takes them as a parameter.
        hosts, ports = _split_hosts(parts.host)
        query["host"] = ",".join(hosts)
        if any(ports) or parts.port:
            query["port"] = ",".join(str(port or parts.port or 5432) for port in ports)
        return _build_url("postgres", parts, host=None, port=None, query=query)
    return _build_url("postgres", parts, host=parts.host or None, port=parts.port, query=query)


def _split_key_values(dsn: str) -> _Parts:
    """libpq's `host=… dbname=…`, with its quotes and backslashes."""
    pairs: dict[str, str] = {}
    position = 0
    while position < len(dsn.rstrip()):
        match = _KEY_VALUE.match(dsn, position)
        if match is None:
            raise _invalid("the key=value connection string is malformed; put a value with spaces in single quotes")
        value = match[2][1:-1] if match[2].startswith("'") else match[2]
        pairs[match[1].lower()] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        position = match.end()
    known = {"host", "port", "user", "password", "dbname", "search_path"} | _POSTGRES_PASSED | _POSTGRES_IGNORED
    for number, key in enumerate(pairs, start=1):
        if key not in known:
            # Not named: an unquoted password with a space would look like this.
            raise _invalid(f"key number {number} of the connection string is not supported (or a value lacks quotes)")
    return _take_parts(pairs)


def _take_parts(pairs: dict[str, str]) -> _Parts:
    """Parts from libpq parameters; what is left over stays in `query`."""
    port = pairs.pop("port", "")
    host = pairs.pop("host", "")
    if port and "," in port:
        host, port = _zip_hosts(host, port), ""
    return _Parts(
        user=pairs.pop("user", None),
        password=pairs.pop("password", None),
        host=host,
        port=_parse_port(port),
        database=pairs.pop("dbname", ""),
        query=pairs,
    )


def _zip_hosts(hosts: str, ports: str) -> str:
    names, numbers = hosts.split(","), ports.split(",")
    if len(names) != len(numbers):
        raise _invalid("the connection string has a different number of hosts and ports")
    bracketed = (f"[{name}]" if ":" in name else name for name in names)
    return ",".join(f"{name}:{number}" if number else name for name, number in zip(bracketed, numbers, strict=True))


def _check_postgres_query(given: Mapping[str, str]) -> dict[str, str]:
    query: dict[str, str] = {}
    for key, value in given.items():
        if key in _POSTGRES_PASSED:
            query[key] = value
        elif key != "search_path" and key.lower() not in _POSTGRES_IGNORED:
            raise _unknown_parameter(key)
    if "search_path" in given:
        # libpq has no such keyword (the Go driver sends it as a server setting), `options` does the same.
        path = re.sub(r"([\\\s])", r"\\\1", given["search_path"])
        query["options"] = " ".join(filter(None, [query.get("options"), f"-c search_path={path}"]))
    return query


# --- MySQL ----------------------------------------------------------------------------------------------------------


def _parse_mysql(dsn: str) -> URL:
    if dsn.count("?") > 1:
        raise _invalid("a MySQL connection string may hold at most one '?'; in a mysql:// URL write %3F for others")
    parts = _split_url(dsn) if _is_url(dsn, "mysql|mariadb") else _split_go(dsn)
    if "?" in parts.database:
        raise _invalid("the database name must not hold a '?'")
    if "," in parts.host:
        raise _invalid("a MySQL connection string names one host only")
    query = _check_mysql_query(parts.query)
    if parts.host.startswith(("/", "@")):
        return _build_url("mysql", parts, host="localhost", port=None, query={**query, "unix_socket": parts.host})
    return _build_url("mysql", parts, host=parts.host or "127.0.0.1", port=parts.port or 3306, query=query)


def _split_go(dsn: str) -> _Parts:
    """`[user[:password]@][tcp|unix[(address)]]/name[?parameters]`: the last @ and / count, as the Go driver has it."""
    mark = dsn.find("?", max(dsn.rfind("@"), dsn.rfind(")")) + 1)
    rest, query = (dsn, "") if mark < 0 else (dsn[:mark], dsn[mark + 1 :])
    left, slash, database = rest.rpartition("/")
    credentials, at, place = left.rpartition("@")
    address = re.fullmatch(r"(?:(tcp|unix)(?:\((.*)\))?)?", place)
    if not slash or address is None:
        raise _invalid("the MySQL connection string is malformed; use user:password@tcp(host:3306)/name")
    user, colon, password = credentials.partition(":")
    network, target = address[1] or "tcp", address[2] or ""
    host, port = (target or "/tmp/mysql.sock", None) if network == "unix" else _split_host(target)  # noqa: S108
    return _Parts(
        user=user if at else None,
        password=password if colon else None,
        host=host,
        port=port,
        database=unquote(database),
        query=_split_query(query),
    )


def _check_mysql_query(given: Mapping[str, str]) -> dict[str, str]:
    query: dict[str, str] = {}
    for key, value in given.items():
        if key in _MYSQL_PASSED:
            query[key] = value
        elif key != "tls" and key.lower() not in _MYSQL_IGNORED:
            raise _unknown_parameter(key)
    return {"charset": "utf8mb4", **_tls_options(given.get("tls", "preferred"), query), **query}


def _tls_options(tls: str, query: Mapping[str, str]) -> dict[str, str]:
    """The Go driver's `tls` in the words of SQLAlchemy and PyMySQL, whose own default is `preferred`."""
    if tls.lower() == "preferred":
        return {}
    if tls.lower() in ("false", "0"):
        return {"ssl_disabled": "true"}
    if tls.lower() == "skip-verify":
        # Any option makes TLS mandatory; without a CA PyMySQL verifies nothing.
        return {"ssl_check_hostname": "false"}
    if tls.lower() not in ("true", "1"):
        raise _invalid("the parameter 'tls' must be true, false, skip-verify or preferred")
    if "ssl_ca" in query or "ssl_capath" in query:
        return {}
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return {"ssl_ca": paths.cafile}
    if paths.capath:
        return {"ssl_capath": paths.capath}
    raise _invalid("'tls=true' needs CA certificates, and this system has none; name a file with ssl_ca")


# --- SQLite ---------------------------------------------------------------------------------------------------------


def _parse_sqlite(dsn: str) -> URL:
    rest = dsn.partition("://")[2]
    path = unquote(rest[1:])
    if dsn.lower() in ("sqlite://", "sqlite:///") or path == ":memory:":
        raise _invalid("an in-memory SQLite database is lost at every restart; name a file with sqlite:////path")
    if not rest.startswith("/"):
        raise _invalid("write sqlite:///relative/path or sqlite:////absolute/path")
    if "?" in rest or path.startswith("file:"):
        raise _invalid("an SQLite connection string takes no parameters; write %3F for a '?' in the path")
    return URL.create(DRIVERS["sqlite"], database=path)


# --- Shared by the URL forms ----------------------------------------------------------------------------------------


def _is_url(dsn: str, schemes: str) -> bool:
    return re.match(rf"({schemes})://", dsn, re.IGNORECASE) is not None


def _split_url(dsn: str) -> _Parts:
    """`scheme://user:password@host:port/name?parameters`, percent-encoded. By hand: urllib's errors repeat the text."""
    rest = dsn.partition("://")[2]
    match = re.fullmatch(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?", rest, re.DOTALL)
    authority, path, query = (match[1], match[2] or "", match[3] or "") if match else ("", "@", "")
    if "@" in path or "@" in query or "/" in path:
        # An unencoded password ends the host part early; nothing of the rest may be shown or used.
        raise _invalid(
            "the URL is malformed; write @, / and ? inside user, password and parameters as %40, %2F and %3F"
        )
    credentials, at, place = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    host, port = (unquote(place), None) if "," in place or "%2f" in place.lower() else _split_host(place)
    given = _split_query(query)
    pairs = {"host": host, "port": str(port or ""), "dbname": unquote(path)}
    pairs |= {"user": unquote(user)} if at else {}
    pairs |= {"password": unquote(password)} if colon else {}
    return _take_parts({**pairs, **given})


def _split_query(text: str) -> dict[str, str]:
    split = (pair.partition("=") for pair in text.split("&") if pair)
    pairs = {unquote(key): unquote(value) for key, _, value in split}
    if "password" in pairs:
        # A raw "&" in it would make the rest look like an unknown parameter, whose name is shown.
        raise _invalid("the password is written before the @, not as a parameter")
    return pairs


def _split_hosts(text: str) -> tuple[list[str], list[int | None]]:
    pairs = [(part, None) if part.startswith(("/", "@")) else _split_host(part) for part in text.split(",")]
    return [host for host, _ in pairs], [port for _, port in pairs]


def _split_host(text: str) -> tuple[str, int | None]:
    match = _HOST.fullmatch(text)
    if match is None:
        raise _invalid("the connection string has a malformed host or port")
    return match["v6"] or match["host"] or "", _parse_port(match["v6port"] or match["port"] or "")


def _parse_port(text: str) -> int | None:
    if text and (not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) < 65536):
        raise _invalid("the connection string has a port that is not a number from 1 to 65535")
    return int(text) if text else None


def _unknown_parameter(key: str) -> Invalid:
    return _invalid(f"the connection string has the unknown parameter {key[:40]!r}")


def _build_url(
    db_type: DatabaseType, parts: _Parts, *, host: str | None, port: int | None, query: Mapping[str, str]
) -> URL:
    if not parts.database:
        raise _invalid("the connection string names no database")
    return URL.create(DRIVERS[db_type], parts.user, parts.password, host, port, parts.database, query)


_PARSERS: dict[DatabaseType, Callable[[str], URL]] = {
    "postgres": _parse_postgres,
    "mysql": _parse_mysql,
    "sqlite": _parse_sqlite,
}
