"""Builds the index of a loaded database in this fresh process, and says how long it took.

python -m bench.index_load DSN SPOOL_FOLDER
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from catalog_server.catalog.follower import Follower, Indexes
from catalog_server.catalog.registry import discover
from catalog_server.db.dsn import parse_dsn
from catalog_server.db.engine import open_engine


def main() -> None:
    registry = discover()
    indexes = Indexes(registry, Path(sys.argv[2]))
    follower = Follower(open_engine(parse_dsn(sys.argv[1], None)), registry, indexes)
    started, cpu_started = time.perf_counter(), time.process_time()
    follower.catch_up()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    entities = sum(len(index.table) for index in indexes.all().values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "entities": entities, "peak": peak}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
