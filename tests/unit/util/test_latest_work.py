"""Work in a thread, of which only the newest is done next."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from functools import partial

import pytest

from fmnist_tui.util.latest_work import LatestWork


def test_only_the_newest_of_the_work_that_waits_is_done_and_in_one_thread() -> None:
    works, started, may_end = LatestWork(), threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> int:
        started.set()
        assert may_end.wait(60)
        return threading.get_ident()

    running = works.submit(first)
    assert started.wait(60)
    waiting = [works.submit(partial(done.append, number)) for number in range(5)]
    last = works.submit(threading.get_ident)
    may_end.set()
    assert last.result(60) == running.result(60)
    assert done == [] and all(future.cancelled() for future in waiting)


def test_an_error_reaches_who_waits_and_the_next_work_is_done() -> None:
    works = LatestWork()
    with pytest.raises(ZeroDivisionError):
        works.submit(lambda: 1 // 0).result(60)
    assert works.submit(lambda: 7).result(60) == 7


def test_work_whose_future_is_cancelled_while_it_waits_is_not_done() -> None:
    works, started, may_end = LatestWork(), threading.Event(), threading.Event()
    done: list[int] = []

    def first() -> None:
        started.set()
        assert may_end.wait(60)

    running = works.submit(first)
    assert started.wait(60)
    waiting = works.submit(lambda: done.append(1))
    assert waiting.cancel()
    may_end.set()
    running.result(60)
    with pytest.raises(CancelledError):
        waiting.result(60)
    assert works.submit(lambda: 7).result(60) == 7 and done == []
