"""Iterators side by side, each in a thread of its own while it makes its next item."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import Any, TypeVar

Item = TypeVar("Item")

_END: Any = object()


def together(flows: Sequence[Iterator[Item]], lanes: int) -> Generator[Item]:
    """The items of all flows, as they come. A single flow or lane needs no threads.

    A flow makes one item ahead of the caller. What it raises, the caller gets. What
    holds for a thread, as JAX's context managers do, holds for the caller's alone.

    Args:
        lanes: flows that are under way together; others wait until one has ended.
    """
    if min(lanes, len(flows)) < 2:
        yield from chain.from_iterable(flows)
        return
    waiting = iter(flows)
    with ThreadPoolExecutor(lanes) as pool:
        start = lambda flow: (pool.submit(next, flow, _END), flow)  # noqa: E731
        running: dict[Future[Item], Iterator[Item]] = dict(
            map(start, islice(waiting, lanes))
        )
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                flow, item = running.pop(future), future.result()
                following = next(waiting, None) if item is _END else flow
                if following is not None:
                    running.update([start(following)])
                if item is not _END:
                    yield item
