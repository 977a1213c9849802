"""News of the configuration among replicas: whoever saves one says so in the database, the others look at the store.

The store stays the truth. News that got lost costs time only: until the next regular look.
"""

from __future__ import annotations

import structlog

from catalog_server.cluster import sql
from catalog_server.db.engine import Engine, reading, writing
from catalog_server.errors import Unavailable

log = structlog.get_logger(__name__)


class ConfigurationFeed:
    """One replica's ear and mouth."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: str | None = None

    def tell(self, version: str) -> None:
        """Somebody has saved this version. Never raises."""
        try:
            with writing(self._engine) as connection:
                sql.write_configuration_version(connection, version)
        except Unavailable as error:
            log.warning("other replicas find the changed configuration later", reason=error.message)

    def has_news(self) -> bool:
        """Whether something was saved since the last question, or since before the first one. Raises Unavailable."""
        with reading(self._engine) as connection:
            version = sql.read_configuration_version(connection)
        is_new = version is not None and version != self._seen
        self._seen = version
        return is_new
