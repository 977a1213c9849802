"""Threads of their own for what may take long: changes of the configuration, and refreshes that somebody waits for.

They wait for locks, for stores and for remote hosts. In the threads that reads use (asyncio's own) a handful of them
would keep everybody from searching long texts, listing sources or looking after a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

THREADS = 16
P = ParamSpec("P")
T = TypeVar("T")

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="change")  # threads are made when they are needed


async def in_change_thread(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What `work` returns or raises. It belongs to the same trace."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_pool, lambda: context.run(work, *args, **options))
