"""Work that may take so long and no longer."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time

import pytest

from recurra.training.interrupt import OutOfTime, limited


def test_what_takes_too_long_is_ended_and_the_alarm_with_it() -> None:
    former = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime):
        limited(0.01, lambda: time.sleep(100))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0) and signal.getsignal(signal.SIGALRM) == former


def test_what_is_quicker_is_not_touched() -> None:
    assert limited(100.0, lambda: signal.getitimer(signal.ITIMER_REAL)[0]) > 90
    assert limited(math.inf, lambda: signal.getitimer(signal.ITIMER_REAL)) == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_of_somebody_else_still_rings() -> None:
    rung: list[int] = []
    former = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 50.0)
        limited(100.0, lambda: None)
        assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_no_failure_of_others_hides_it() -> None:
    def work() -> None:
        try:
            time.sleep(10)
        except Exception:
            time.sleep(10)

    with pytest.raises(OutOfTime):
        limited(0.01, work)


@pytest.mark.parametrize("seconds", [0.0, 0.00002])
def test_an_alarm_that_rings_where_it_is_set_or_turned_off_leaves_nothing_behind(seconds: float) -> None:
    former = signal.getsignal(signal.SIGALRM)
    for _ in range(2_000):
        with contextlib.suppress(OutOfTime):
            limited(seconds, lambda: time.sleep(0.00001))
        assert signal.getsignal(signal.SIGALRM) == former
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_thread_has_no_alarm_and_goes_on() -> None:
    done = []

    def work() -> None:
        time.sleep(0.01)
        done.append(True)

    thread = threading.Thread(target=limited, args=(0.001, work))
    thread.start()
    thread.join()
    assert done
