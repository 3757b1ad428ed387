"""Work that may take so long and no longer."""

from __future__ import annotations

import math
import signal
import threading
import time

import pytest

from recurra.training.interrupt import OutOfTime, limited


def test_what_takes_too_long_is_ended_and_the_alarm_with_it() -> None:
    former = signal.getsignal(signal.SIGALRM)
    with pytest.raises(OutOfTime), limited(0.01):
        while True:
            time.sleep(1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0) and signal.getsignal(signal.SIGALRM) == former


def test_what_is_quicker_is_not_touched() -> None:
    with limited(100.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 90
    with limited(math.inf):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_of_somebody_else_still_rings() -> None:
    rung: list[int] = []
    former = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 50.0)
        with limited(100.0):
            pass
        assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_no_failure_of_others_hides_it() -> None:
    with pytest.raises(OutOfTime), limited(0.01):
        try:
            time.sleep(10)
        except Exception:
            time.sleep(10)


def test_a_thread_has_no_alarm_and_goes_on() -> None:
    done = []

    def work() -> None:
        with limited(0.001):
            time.sleep(0.01)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
