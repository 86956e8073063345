"""Computing the items of an iterator in threads, while the caller uses the previous ones."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
MOST_WORKERS = 4
"""Largest number of frames, or batches of them, that are rendered at once: each takes the memory of its own."""
_PATIENCE_SECONDS = 0.05


@dataclass(frozen=True)
class _End:
    """The end of the items, and the error that ended them."""

    error: BaseException | None = None


@contextmanager
def ahead(items: Iterable[T], count: int) -> Iterator[Iterator[T]]:
    """Compute items in a thread as long as the context lasts, in their order.

    Checkpoints in the thread see the running job (:func:`s2l_core.events.checkpoint`). An error there, including a
    cancellation, is raised where the caller takes the next item. At the end of the context the thread has ended, and a
    generator has been closed there.

    Args:
        items: The items, which are used by the thread only.
        count: Number of items that may wait to be taken. More take more memory.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(count)
    stopped = Event()

    def offer(item: T | _End) -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_PATIENCE_SECONDS)
                return
            except queue.Full:
                continue

    def compute() -> None:
        error = None
        try:
            for item in items:
                offer(item)
                if stopped.is_set():
                    break
        except BaseException as raised:
            error = raised
        if (close := getattr(items, "close", None)) is not None:
            close()
        offer(_End(error))

    thread = Thread(target=copy_context().run, args=(compute,), daemon=True)
    thread.start()
    try:
        yield _taken(waiting)
    finally:
        stopped.set()
        thread.join()


def in_order(function: Callable[[S], T], items: Iterable[S], workers: int) -> Iterator[T]:
    """Apply a function to several items at once, each in a thread. Results come in the order of the items, errors and
    checkpoints as in :func:`ahead`.

    Args:
        function: The function, which is called in several threads at once.
        items: The items, which the caller's thread computes.
        workers: Number of threads. One more item is in memory.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[T]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(copy_context().run, function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for waiting in pending:
                waiting.cancel()


def _taken(waiting: queue.Queue[T | _End]) -> Iterator[T]:
    while not isinstance(item := waiting.get(), _End):
        yield item
        del item  # frees it while the next one is waited for
    if item.error is not None:
        raise item.error
