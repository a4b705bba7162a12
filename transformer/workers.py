"""A function mapped over a stream by several processes, in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

from transformer.errors import InputError

FEW = 8
"""Items that are not worth starting processes, which takes seconds."""

AHEAD = 3
"""Items that each process has before it; more would only take memory."""

MOST = 8
"""Processes by default; more than these wait for the one that reads."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int | None = None,
    few: int = FEW,
) -> Generator[tuple[Item, Result]]:
    """Each item with what the function makes of it, in the order of the items.

    Args:
        function: pure, so that it does not matter which process calls it; it and what
            it takes and returns must survive pickling.
        processes: how many call it; by default as many as this one may use cores, or
            `MOST`.
        few: items that this process sees to before it starts others.

    Raises:
        InputError: if one of them is killed, as by a system that is out of memory.
    """
    rest = iter(items)
    first = list(islice(rest, few))
    yield from ((item, function(item)) for item in first)
    after = next(rest, None)
    if after is None:
        return
    rest = chain([after], rest)
    count = processes or min(MOST, cores())
    if count == 1:
        yield from ((item, function(item)) for item in rest)
    else:
        yield from _shared(function, rest, count)


def cores() -> int:
    """Those that this process may use, which may be fewer than there are.

    NPROC is how XLA is told, and how a process of ours is.
    """
    told = os.environ.get("NPROC", "")
    if told.isdecimal() and int(told):
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shared(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int
) -> Generator[tuple[Item, Result]]:
    others = set(multiprocessing.active_children())
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
    except BrokenProcessPool as error:
        raise InputError(
            "A process that this one had started was killed, as happens where memory "
            "runs out. Make room, and run the same command again."
        ) from error
    except BaseException:  # GeneratorExit, too: nobody waits for what they do now
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]


def _begin(function: Callable[[Any], Any]) -> None:
    """Sends the function once, and not with each item."""
    global _function
    _function = function
    os.environ["NPROC"] = "1"  # XLA's threads: each process keeps to one core
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
