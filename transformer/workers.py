"""A function mapped over a stream by several processes, in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

FEW = 8
"""Items that are not worth starting processes, which takes seconds."""

AHEAD = 3
"""Items that each process has before it; more would only take memory."""

MOST = 8
"""Processes; more than these wait for the one that reads."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int | None = None,
) -> Generator[tuple[Item, Result]]:
    """Each item with what the function makes of it, in the order of the items.

    Args:
        function: pure, so that it does not matter which process calls it; it and what
            it takes and returns must survive pickling.
        processes: how many call it; by default as many as this one may use cores.
    """
    rest = iter(items)
    first = list(islice(rest, FEW))
    yield from ((item, function(item)) for item in first)
    after = next(rest, None)
    if after is None:
        return
    rest = chain([after], rest)
    count = min(MOST, processes or _cores())
    if count == 1:
        yield from ((item, function(item)) for item in rest)
    else:
        yield from _shared(function, rest, count)


def _cores() -> int:
    """Those that this process may use, which may be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shared(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Generator[tuple[Item, Result]]:
    pool = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),  # JAX has threads, which no fork survives
        initializer=_begin,
        initargs=(function,),
    )
    waiting: deque[tuple[Item, Any]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(_call, item)))
            if len(waiting) > AHEAD * processes:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]


def _begin(function: Callable[[Any], Any]) -> None:
    """Sends the function once, and not with each item."""
    global _function
    _function = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else a worker would wait forever for a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(item: Any) -> Any:
    return _function(item)
