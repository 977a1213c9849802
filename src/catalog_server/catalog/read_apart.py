"""Reads a large source in a process of its own.

Parsing YAML is pure computation that would hold the interpreter for seconds: readers of this process would wait for
it, and its memory would stay with us. A process of its own does neither, and can be killed when its time is over.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import IO, Any

from catalog_server.catalog.records import Batch, ReadJob, read_records
from catalog_server.catalog.registry import load_plugin
from catalog_server.errors import CatalogError, Invalid
from catalog_server.schema.kind import Kind

APART_FROM_BYTES = 512 * 1024
# What is pickled at a time: nobody else gets the interpreter meanwhile.
_PORTION = 250


def read(plugin_name: str, kind: Kind, job: ReadJob, *, timeout_seconds: float) -> Batch:
    """Read the files of a source, apart when they are large.

    Raises:
        Invalid: as read_records; also when reading took longer than the deadline, or its process died.
    """
    size = sum(len(file.data) for file in job.files)
    if size < APART_FROM_BYTES:
        return read_records(kind, job)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no outside words
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    deadline = threading.Timer(timeout_seconds, process.kill)
    deadline.start()
    try:
        with process:
            output = _ask(process, plugin_name, job)
    finally:
        is_late = not deadline.is_alive()
        deadline.cancel()
    if is_late:
        raise Invalid(f"reading {size} bytes took longer than {timeout_seconds:.0f} s")
    if process.returncode != 0:
        raise Invalid(f"the process that reads the source ended with status {process.returncode}")
    return _read_answer(io.BytesIO(output), job.known)


def _ask(process: subprocess.Popen[bytes], plugin_name: str, job: ReadJob) -> bytes:
    """Send the job, then the files as they are: to pickle them would copy them while everybody else waits."""
    assert process.stdin is not None
    assert process.stdout is not None
    sizes = [len(file.data) for file in job.files]
    header = replace(job, files=tuple(replace(file, data=b"") for file in job.files), known={})
    with contextlib.suppress(BrokenPipeError):  # it died; its status says more
        _dump((plugin_name, header, sizes), process.stdin)
        _dump_portions(job.known.items(), process.stdin)
        for file in job.files:
            process.stdin.write(file.data)
    with contextlib.suppress(BrokenPipeError):  # what is still buffered has nowhere to go either
        process.stdin.close()
    return process.stdout.read()


def _read_answer(output: IO[bytes], known: Mapping[str, str]) -> Batch:
    answer: Batch | Invalid = _load(output)
    if isinstance(answer, Invalid):
        raise answer
    for portion in _load_portions(output):
        answer.items |= {one.name: one for one in portion}
    answer.unchanged = dict(known)
    for name in chain.from_iterable(_load_portions(output)):
        del answer.unchanged[name]
    return answer


def _write_answer(batch: Batch, known: Mapping[str, str], output: IO[bytes]) -> None:
    _dump(replace(batch, items={}, unchanged={}), output)
    _dump_portions(batch.items.values(), output)
    _dump_portions([name for name in known if name not in batch.unchanged], output)  # a few, the others are many


def _dump(value: object, stream: IO[bytes]) -> None:
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)


def _load(stream: IO[bytes]) -> Any:
    return pickle.load(stream)  # noqa: S301 - written by our own other side


def _dump_portions(values: Iterable[object], stream: IO[bytes]) -> None:
    remaining = iter(values)
    while portion := list(islice(remaining, _PORTION)):
        _dump(portion, stream)
    _dump([], stream)


def _load_portions(stream: IO[bytes]) -> Iterator[list[Any]]:
    while portion := _load(stream):
        yield portion


def main() -> None:
    """The other side: one job on standard input, one answer on standard output."""
    os.nice(10)
    source = sys.stdin.buffer
    plugin_name, header, sizes = _load(source)
    known = dict(chain.from_iterable(_load_portions(source)))
    files = tuple(replace(file, data=source.read(size)) for file, size in zip(header.files, sizes, strict=True))
    try:
        batch = read_records(load_plugin(plugin_name).kind, replace(header, files=files, known=known))
    except CatalogError as error:
        _dump(Invalid(error.message), sys.stdout.buffer)
    else:
        _write_answer(batch, known, sys.stdout.buffer)


if __name__ == "__main__":
    main()
