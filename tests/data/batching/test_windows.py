"""Windows of long sequences: every step in its place, none of two sequences, resumable anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batching.layout import SYMBOLS, Layout
from recurra.data.batching.windows import WindowEpoch, Windows
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

LENGTHS = st.lists(st.integers(0, 25), min_size=1, max_size=6).filter(lambda lengths: max(lengths) > 1)
SHAPES = {"steps": st.integers(1, 9), "size": st.integers(1, 5), "stride": st.integers(1, 9)}
VECTORS = {"input": Layout((None, 2), along=True), "tags": Layout(padding=-100, along=True)}


def numbered(lengths: list[int]) -> list[dict[str, Any]]:
    """Every step another number, and every sequence."""
    return [{"input": np.arange(n) + 1000 * (row + 1), "place": f"t:{row}"} for row, n in enumerate(lengths)]


def windows_of(epoch: WindowEpoch) -> list[tuple[list[int], list[int]]]:
    """Input and target of each window, without padding."""
    found = []
    for batch in epoch:
        given, target, lengths = batch.fields["input"], batch.fields["target"], batch.structure.values
        assert batch.first and given.dtype == torch.int64 and given.t().is_contiguous()
        for b, n in enumerate([given.shape[1]] * len(given) if lengths is None else lengths.tolist()):
            assert (given[b, n:] == 0).all() and (target[b, n:] == -100).all()
            found.append((given[b, :n].tolist(), target[b, :n].tolist()))
    return found


@given(lengths=LENGTHS, **SHAPES, epoch=st.integers(0, 2))
def test_windows_are_of_one_sequence_and_overlap_as_asked(
    lengths: list[int], steps: int, size: int, stride: int, epoch: int
) -> None:
    stride = min(stride, steps)
    made = Windows(steps, size, stride).batches(numbered(lengths), SYMBOLS, epoch=epoch, seed=3)
    found = sorted(windows_of(made))
    assert all(len(rows) <= size for rows in made.order)
    for symbols, target in found:
        assert target == [number + 1 for number in symbols] and 1 <= len(symbols) <= steps
    for row, n in enumerate(lengths):
        mine = [symbols for symbols, _ in found if symbols[0] // 1000 == row + 1]
        assert {number for symbols in mine for number in symbols} == {1000 * (row + 1) + t for t in range(n - 1)}
        begins = [symbols[0] % 1000 for symbols in mine]
        assert begins == [stride * k for k in range(len(mine))]
        assert all(len(symbols) == steps for symbols in mine[:-1]), "only the last may be shorter"


@given(lengths=LENGTHS, **SHAPES)
def test_whole_predicts_every_step_once_in_order(lengths: list[int], steps: int, size: int, stride: int) -> None:
    made = Windows(steps, size, min(stride, steps)).batches(numbered(lengths), SYMBOLS, whole=True)
    targets = [number for _, target in windows_of(made) for number in target]
    assert targets == [1000 * (row + 1) + t for row, n in enumerate(lengths) for t in range(1, n)]
    assert made.targets == len(targets)


def test_an_epoch_repeats_and_the_next_differs() -> None:
    encoded = numbered([500, 300])
    orders = [
        Windows(5, 8).batches(encoded, SYMBOLS, epoch=e, seed=s).order for e, s in [(0, 0), (0, 0), (1, 0), (0, 1)]
    ]
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3]
    plain = Windows(5, 8, shuffle=False).batches(encoded, SYMBOLS, epoch=4)
    assert [row for rows in plain.order for row in rows] == list(range(160))
    again, full = Windows(5, 8).batches(encoded, SYMBOLS), list(Windows(5, 8).batches(encoded, SYMBOLS))
    assert all(torch.equal(again[k].fields["input"], full[k].fields["input"]) for k in range(3, len(full)))
    with pytest.raises(IndexError, match=f"batch {len(full)} of a pass of {len(full)}"):
        again[len(full)]


def test_vectors_and_what_goes_along_them() -> None:
    draw = np.random.default_rng(0)
    encoded = [
        {"input": draw.normal(size=(n, 2)).astype(np.float32), "tags": np.arange(n) + 10 * n, "place": ""}
        for n in (4, 7)
    ]
    (batch,) = Windows(3, 9).batches(encoded, VECTORS, whole=True)
    given, target, tags = (batch.fields[name] for name in ("input", "target", "tags"))
    assert given.shape == target.shape == (3, 3, 2) and given.dtype == target.dtype == torch.float32
    assert given.transpose(0, 1).is_contiguous() and tags.shape == (3, 3)
    long = [torch.from_numpy(each["input"]) for each in encoded]
    for row, (of, begin) in enumerate([(0, 0), (1, 0), (1, 3)]):
        assert torch.equal(given[row], long[of][begin : begin + 3])
        assert torch.equal(target[row], long[of][begin + 1 : begin + 4])
        assert tags[row].tolist() == encoded[of]["tags"][begin : begin + 3].tolist()
    short = Windows(9, 9).batches(encoded, VECTORS, whole=True)[0]
    assert short.structure.values is not None and short.structure.values.tolist() == [3, 6]
    assert (short.fields["input"][0, 3:] == 0).all() and (short.fields["target"][0, 3:] == 0).all()
    assert (short.fields["tags"][0, 3:] == -100).all()


def test_a_target_of_its_own_is_not_shifted() -> None:
    encoded = [{"input": np.arange(5), "target": np.arange(5) + 50, "place": ""}]
    batch = Windows(9).batches(encoded, {**SYMBOLS, "target": Layout(padding=-100, along=True)}, whole=True)[0]
    assert batch.fields["target"].tolist() == [[50, 51, 52, 53]]


def test_nothing_to_predict() -> None:
    with pytest.raises(DataError, match=r"^the longest of 2 sequences has 1 steps, expected 2 or more: nothing"):
        Windows().batches(numbered([1, 0]), SYMBOLS)


@pytest.mark.parametrize("key", ["steps", "size", "stride"])
def test_settings_out_of_range(key: str) -> None:
    with pytest.raises(ConfigError, match=f"batching.{key} = 0, expected 1 or more"):
        construct("batching", {"kind": "windows", key: 0})
    with pytest.raises(ConfigError, match=r"batching.stride = 9 is beyond batching.steps = 4: what lies between two"):
        Windows(4, stride=9)


def test_windows_that_overlap_are_all_scored() -> None:
    encoded = numbered([7, 1, 5])
    found = windows_of(Windows(steps=3, stride=1, overlap=True).batches(encoded, SYMBOLS, whole=True))
    expected = [[1000 + s + k for k in range(3)] for s in range(4)] + [
        [3000 + s + k for k in range(3)] for s in range(2)
    ]
    assert [given for given, _ in found] == expected
    apart = windows_of(Windows(steps=3, stride=1).batches(encoded, SYMBOLS, whole=True))
    assert [given for given, _ in apart] == [expected[0], expected[3], expected[4], [3003]]


@given(lengths=LENGTHS, **SHAPES, epoch=st.integers(0, 2))
def test_drawn_by_series_all_are_learned_alike(
    lengths: list[int], steps: int, size: int, stride: int, epoch: int
) -> None:
    made, plain = (Windows(steps, size, min(stride, steps), draw=draw) for draw in ("series", "window"))
    drawn = made.batches(numbered(lengths), SYMBOLS, epoch=epoch, seed=3)
    every = sorted(windows_of(plain.batches(numbered(lengths), SYMBOLS)))
    found = windows_of(drawn)
    assert len(found) == len(every) and all(window in every for window in found)
    times = [sum(symbols[0] // 1000 == row + 1 for symbols, _ in found) for row, n in enumerate(lengths) if n > 1]
    assert max(times) - min(times) <= 1
    for row in range(len(lengths)):
        of_one = [found.count(window) for window in every if window[0][0] // 1000 == row + 1]
        assert not of_one or max(of_one) - min(of_one) <= 1
    again = made.batches(numbered(lengths), SYMBOLS, epoch=epoch, seed=3)
    assert again.order == drawn.order and drawn.targets == sum(len(symbols) for symbols, _ in found)
    whole, of_plain = (each.batches(numbered(lengths), SYMBOLS, whole=True) for each in (made, plain))
    assert whole.order == of_plain.order, "what is scored is every window, once"


def test_what_cannot_be_drawn_by_series() -> None:
    with pytest.raises(ConfigError, match=r"batching\.draw = 'serie': did you mean 'series'\?"):
        construct("batching", {"kind": "windows", "draw": "serie"})
    with pytest.raises(ConfigError, match=r'batching\.draw = "series" draws windows at random, but batching\.shuffle'):
        Windows(draw="series", shuffle=False)
