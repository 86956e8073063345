"""Items are computed ahead in a thread: in order, a few at a time, with errors and cancellation passed on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from s2l_core.ahead import ahead, in_order
from s2l_core.errors import BadJob, Cancelled
from s2l_core.events import Report, checkpoint


def test_items_come_in_order_from_another_thread() -> None:
    threads: set[int] = set()

    def count() -> Iterator[int]:
        for number in range(100):
            threads.add(threading.get_ident())
            yield number

    with ahead(count(), 3) as numbers:
        assert list(numbers) == list(range(100))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_no_more_items_are_computed_than_may_wait() -> None:
    started, done = [], threading.Event()

    def count() -> Iterator[int]:
        try:
            for number in range(100):
                started.append(number)
                yield number
        finally:
            done.set()

    with ahead(count(), 2) as numbers:
        assert [next(numbers), next(numbers)] == [0, 1]
    assert done.is_set()  # the generator is closed, so that its file is
    assert len(started) <= 2 + 2 + 2  # those that were taken, wait, and are offered or computed


def test_an_error_comes_after_the_items_before_it() -> None:
    def fail() -> Iterator[int]:
        yield 1
        raise BadJob("no")

    with ahead(fail(), 4) as numbers:
        assert next(numbers) == 1
        with pytest.raises(BadJob):
            next(numbers)


def test_the_thread_sees_the_cancellation_of_the_job() -> None:
    def ask() -> Iterator[int]:
        while True:
            checkpoint()
            yield 0

    cancelled = threading.Event()
    with Report(is_cancelled=cancelled.is_set).running(), ahead(ask(), 2) as numbers:
        assert next(numbers) == 0
        cancelled.set()
        with pytest.raises(Cancelled):
            list(numbers)


def test_an_error_of_the_caller_ends_the_thread() -> None:
    before = threading.active_count()
    with pytest.raises(BadJob), ahead(iter(range(1000)), 2) as numbers:
        next(numbers)
        raise BadJob("no")
    assert threading.active_count() == before


def test_results_of_several_threads_come_in_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def square(number: int) -> int:
        both.wait()  # until another thread is here, too
        return number * number

    assert list(in_order(square, range(20), 2)) == [number * number for number in range(20)]


def test_an_error_in_one_of_several_threads_comes_after_the_results_before_it() -> None:
    def fail_at_five(number: int) -> int:
        if number == 5:
            raise BadJob("no")
        return number

    results = in_order(fail_at_five, range(100), 3)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(BadJob):
        next(results)
