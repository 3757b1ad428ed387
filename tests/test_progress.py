"""What is waited for is counted, at no cost where nobody listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from recurra.progress import Wait, duration, listening, stage, steps, told


class Notebook:
    """Writes down what it is told: a wait's name and how much is done as it begins and ends."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, int]] = []
        self.now: list[Wait] = []

    def begin(self, wait: Wait) -> None:
        self.heard.append(("begin", wait.name, wait.done))
        self.now.append(wait)

    def end(self, wait: Wait) -> None:
        self.heard.append(("end", wait.name, wait.done))
        self.now.remove(wait)

    def say(self, sentence: str) -> None:
        self.heard.append(("say", sentence, 0))


def test_where_nobody_listens_items_are_what_they_are() -> None:
    items = [1, 2, 3]
    assert steps(items, "counting", "numbers") is items
    with stage("nothing"):
        assert not told("a sentence")


def test_steps_are_counted_as_they_are_done() -> None:
    notes = Notebook()
    with listening(notes):
        for item in steps(["a", "bb", "ccc"], "reading", "letters", total=6, size=len):
            (wait,) = notes.now
            assert (wait.unit, wait.total, wait.done) == ("letters", 6, sum(range(len(item))))
        with stage("compiling"):
            assert told("once")
    assert notes.heard == [
        ("begin", "reading", 0),
        ("end", "reading", 6),
        ("begin", "compiling", 0),
        ("say", "once", 0),
        ("end", "compiling", 0),
    ]


def test_the_number_of_steps_is_asked_of_what_knows_it() -> None:
    notes = Notebook()
    with listening(notes):
        for _ in steps([1, 2], "known", "steps"):
            assert notes.now[0].total == 2
        for _ in steps(iter([1, 2]), "unknown", "steps"):
            assert notes.now[0].total is None


def test_what_is_counted_can_be_gone_through_again() -> None:
    notes = Notebook()
    with listening(notes):
        counted = steps([1, 2], "reading", "numbers")
    assert [*counted] == [*counted] == [1, 2]
    assert notes.heard == [("begin", "reading", 0), ("end", "reading", 2)] * 2


def test_a_wait_ends_with_an_error_and_where_nobody_goes_on() -> None:
    notes = Notebook()

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError

    with listening(notes):
        with pytest.raises(ValueError):
            list(steps(broken(), "breaking", "steps"))
        with pytest.raises(KeyError), stage("breaking"):
            raise KeyError
        for _ in steps(range(3), "left", "steps"):
            break
    assert not notes.now


def test_another_thread_hears_nothing() -> None:
    notes, items, found = Notebook(), [1], []
    with listening(notes):
        thread = threading.Thread(target=lambda: found.append(steps(items, "elsewhere", "steps")))
        thread.start()
        thread.join()
    assert found[0] is items and not notes.heard


def test_what_is_left_is_what_the_pace_says() -> None:
    wait = Wait("", "steps", 100, done=25, begun=1000.0, reached=1010.0)
    assert wait.left(1010.0) == 30.0 and wait.left(1015.0) == 25.0 and wait.left(1099.0) == 0.0
    assert Wait("", "steps", 100, begun=0.0).left(10.0) is None
    assert Wait("", "steps", None, done=5, begun=0.0).left(10.0) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.4, "1 second"), (30, "30 seconds"), (130, "2.2 minutes"), (3_000, "50 minutes"), (864_000, "10 days")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
