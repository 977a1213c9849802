"""Reads a large source in a process of its own.

Parsing YAML is pure computation that would hold the interpreter for seconds: readers of this process would wait for
it, and its memory would stay with us. A process of its own does neither, and can be killed when its time is over.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

from catalog_server.catalog.records import Batch, ReadJob, read_records
from catalog_server.catalog.registry import load_plugin
from catalog_server.errors import CatalogError, Invalid
from catalog_server.schema.kind import Kind

APART_FROM_BYTES = 512 * 1024


def read(plugin_name: str, kind: Kind, job: ReadJob, *, timeout_seconds: float) -> Batch:
    """Read the files of a source, apart when they are large.

    Raises:
        Invalid: as read_records; also when reading took longer than the deadline, or its process died.
    """
    size = sum(len(file.data) for file in job.files)
    if size < APART_FROM_BYTES:
        return read_records(kind, job)
    request = pickle.dumps((plugin_name, job), protocol=pickle.HIGHEST_PROTOCOL)
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no outside words
            [sys.executable, "-m", __name__],
            input=request,
            stdout=subprocess.PIPE,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Invalid(f"reading {size} bytes took longer than {timeout_seconds:.0f} s") from error
    if done.returncode != 0:
        raise Invalid(f"the process that reads the source ended with status {done.returncode}")
    answer: Batch | Invalid = pickle.loads(done.stdout)  # noqa: S301 - written by our own child
    if isinstance(answer, Batch):
        return answer
    raise answer


def main() -> None:
    """The other side: one job on standard input, one answer on standard output."""
    os.nice(10)
    plugin_name, job = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by our own parent
    answer: Batch | CatalogError
    try:
        answer = read_records(load_plugin(plugin_name).kind, job)
    except CatalogError as error:
        answer = Invalid(error.message)
    sys.stdout.buffer.write(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
