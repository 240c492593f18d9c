"""A bell between threads: no ring is lost, and many are one."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import closing

from renderers.bell import Bell

PATIENCE_S = 20.0


def test_many_rings_are_one_and_it_rings_again_when_it_was_heard() -> None:
    with closing(Bell()) as bell:
        assert not bell.wait(0)
        for _ in range(100_000):  # more than a pipe holds
            bell.ring()
        assert bell.wait(0)
        bell.hush()
        assert not bell.wait(0)
        bell.hush()
        bell.ring()
        assert bell.wait(0)


def test_nothing_that_was_put_down_before_a_ring_is_missed() -> None:
    count, ringers = 20_000, 3
    with closing(Bell()) as bell:
        put: deque[int] = deque()

        def give() -> None:
            for i in range(count):
                put.append(i)
                bell.ring()

        threads = [threading.Thread(target=give, daemon=True) for _ in range(ringers)]
        for thread in threads:
            thread.start()
        taken = 0
        while taken < ringers * count:
            assert bell.wait(PATIENCE_S), f"{taken} were taken, and {len(put)} are left without a ring"
            bell.hush()
            while put:
                put.popleft()
                taken += 1
        for thread in threads:
            thread.join(PATIENCE_S)


def test_a_bell_is_closed_once_and_who_rings_later_is_not_heard() -> None:
    bell = Bell()
    bell.close()
    # Whatever is opened next has the same numbers.
    read, write = os.pipe()
    try:
        bell.ring()
        bell.close()
        os.set_blocking(read, False)
        os.write(write, b"x")
        assert os.read(read, 8) == b"x"
    finally:
        os.close(read)
        os.close(write)
