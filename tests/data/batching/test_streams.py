"""Contiguous streams: every symbol in its place, resumable anywhere, memory time-major."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batching.layout import SYMBOLS, Layout
from recurra.data.batching.streams import StreamEpoch, Streams
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.types import Batch

SHAPES = {"streams": st.integers(1, 7), "steps": st.integers(1, 9), "extra": st.integers(0, 120)}


def numbered(count: int) -> np.ndarray[Any, Any]:
    """Every symbol another number and not its place, so that a value tells where it was taken from."""
    return np.arange(count) * 3 + 1000


def as_input(ids: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """A text as one example."""
    return [{"input": ids}]


def joined(epoch: StreamEpoch, field: str) -> torch.Tensor:
    return torch.cat([batch.fields[field] for batch in epoch], dim=1)


def same(a: Batch, b: Batch) -> bool:
    one, other = a.structure.values, b.structure.values
    lengths = one is other if one is None or other is None else torch.equal(one, other)
    fields = all(torch.equal(a.fields[name], b.fields[name]) for name in ("input", "target"))
    return fields and lengths and a.first == b.first


@given(**SHAPES, random_start=st.booleans(), epoch=st.integers(0, 3))
def test_streams_go_on_from_batch_to_batch(
    streams: int, steps: int, extra: int, random_start: bool, epoch: int
) -> None:
    ids = numbered(streams + 1 + extra)
    cut = Streams(streams, steps, random_start).batches(as_input(ids), SYMBOLS, epoch=epoch, seed=5)
    inputs, targets = joined(cut, "input"), joined(cut, "target")
    assert inputs.shape == targets.shape and inputs.shape[0] == streams
    assert inputs.numel() == cut.targets
    assert torch.equal(targets, inputs + 3), "the target is the next symbol"
    assert torch.equal(inputs.diff(dim=1), torch.full_like(inputs[:, 1:], 3)), "a stream leaves nothing out"
    assert torch.equal(targets[:-1, -1], inputs[1:, 0]), "the next stream begins where this one ends"
    skipped = (int(inputs[0, 0]) - 1000) // 3
    assert 0 <= skipped < steps and (random_start or skipped == 0)
    assert 0 <= len(ids) - 1 - skipped - cut.targets < streams, "less than one symbol a stream is left out"


@given(**SHAPES)
def test_whole_covers_every_target_once(streams: int, steps: int, extra: int) -> None:
    ids = numbered(2 + extra)
    cut = Streams(streams, steps, random_start=True).batches(as_input(ids), SYMBOLS, whole=True)
    found = []
    for batch in cut:
        symbols, targets, lengths = batch.fields["input"], batch.fields["target"], batch.structure.values
        assert symbols.shape == targets.shape
        valid = torch.ones_like(targets, dtype=torch.bool)
        if lengths is not None:
            assert lengths.dtype == torch.int64 and lengths.shape == (len(symbols),)
            valid = torch.arange(symbols.shape[1]) < lengths[:, None]
            assert not valid.all(), "full batches carry no lengths"
        assert torch.equal(targets[valid], symbols[valid] + 3)
        assert (targets[~valid] == -100).all() and (symbols[~valid] == 0).all()
        found += targets[valid].tolist()
    assert sorted(found) == ids[1:].tolist()
    assert cut.targets == len(ids) - 1


def test_whole_streams_follow_each_other() -> None:
    targets = joined(Streams(3, 2).batches(as_input(numbered(9)), SYMBOLS, whole=True), "target")
    assert targets.tolist() == [[1003, 1006, 1009], [1012, 1015, 1018], [1021, 1024, -100]]


@given(**SHAPES, start=st.integers(0, 40), whole=st.booleans())
def test_a_resume_at_batch_k_is_the_tail_of_the_pass(
    streams: int, steps: int, extra: int, start: int, whole: bool
) -> None:
    ids = numbered(streams + 1 + extra)
    cut = Streams(streams, steps, random_start=True)
    full = list(cut.batches(as_input(ids), SYMBOLS, epoch=2, seed=7, whole=whole))
    again = cut.batches(as_input(ids), SYMBOLS, epoch=2, seed=7, whole=whole)
    start = min(start, len(again))
    tail = [again[k] for k in range(start, len(again))]
    assert len(full) == len(again) and len(tail) == len(full) - start
    assert all(same(a, b) for a, b in zip(tail, full[start:], strict=True))
    assert [batch.first for batch in full] == [k == 0 for k in range(len(full))]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16])
@pytest.mark.parametrize("whole", [False, True])
def test_memory_is_time_major(dtype: type, whole: bool) -> None:
    cut = Streams(3, 4).batches(as_input(numbered(33).astype(dtype)), SYMBOLS, whole=whole)
    assert [batch.fields["input"].shape for batch in cut] == [(3, 4), (3, 4), (3, 3 if whole else 2)]
    for batch in cut:
        for tensor in batch.fields.values():
            assert tensor.dtype == torch.int64 and tensor.t().is_contiguous()


def test_no_batch_shares_memory_with_the_text() -> None:
    ids = numbered(20)
    batch = Streams(1, 4).batches(as_input(ids), SYMBOLS)[0]
    batch.fields["input"].zero_()
    assert (ids == numbered(20)).all()


def test_a_text_that_may_not_be_written_is_read() -> None:
    ids = numbered(20)
    ids.flags.writeable = False
    assert Streams(2, 4).batches(as_input(ids), SYMBOLS)[0].fields["input"][1, 0] == ids[9]


def test_random_starts_move_and_repeat() -> None:
    ids = numbered(500)
    made = Streams(2, 50, True)
    firsts = [
        [made.batches(as_input(ids), SYMBOLS, epoch=e, seed=s)[0].fields["input"][0, 0].item() for e in range(8)]
              for s in (1, 1, 2)]  # fmt: skip
    assert firsts[0] == firsts[1] != firsts[2]
    assert len(set(firsts[0])) > 3


@given(**SHAPES, random_start=st.booleans(), epoch=st.integers(0, 3), start=st.integers(0, 40))
def test_lengths_that_vary_lose_no_symbol_and_can_be_resumed(
    streams: int, steps: int, extra: int, random_start: bool, epoch: int, start: int
) -> None:
    ids = numbered(streams + 1 + extra)
    make = Streams(streams, steps, random_start, vary_steps=True)
    cut = make.batches(as_input(ids), SYMBOLS, epoch=epoch, seed=5)
    plain = Streams(streams, steps, random_start).batches(as_input(ids), SYMBOLS, epoch=epoch, seed=5)
    for field in ("input", "target"):
        assert torch.equal(joined(cut, field), joined(plain, field)), "the same symbols, cut elsewhere"
    full = list(cut)
    assert len(full) == len(cut) and cut.targets == plain.targets
    assert [batch.first for batch in full] == [k == 0 for k in range(len(full))]
    sizes = [batch.fields["input"].shape[1] for batch in full]
    assert all(size >= 5 for size in sizes[:-1]) and sizes[-1] >= 1
    assert [batch.rate for batch in full] == [size / steps for size in sizes]
    start = min(start, len(full))
    again = make.batches(as_input(ids), SYMBOLS, epoch=epoch, seed=5)
    tail = [again[k] for k in range(start, len(full))]
    assert all(same(a, b) and a.rate == b.rate for a, b in zip(tail, full[start:], strict=True))


def test_lengths_vary_around_the_steps_and_half_of_them() -> None:
    made = Streams(1, 100, vary_steps=True)
    sizes = [np.diff(made.batches(as_input(numbered(500_000)), SYMBOLS, epoch=e, seed=1).cuts)[:-1] for e in (0, 0, 1)]
    assert np.array_equal(sizes[0], sizes[1])
    assert not np.array_equal(sizes[0][:9], sizes[2][:9])
    drawn = np.concatenate(sizes[1:])
    long = drawn > 75
    assert 0.93 < long.mean() < 0.97
    for some, mean in ((drawn[long], 100), (drawn[~long], 50)):
        assert some.mean() == pytest.approx(mean, abs=1)
        assert some.std() == pytest.approx(5, abs=0.5)


def test_a_validation_does_not_vary() -> None:
    made, plain = (
        Streams(2, 9, vary_steps=vary).batches(as_input(numbered(80)), SYMBOLS, whole=True) for vary in (True, False)
    )
    assert len(made) == len(plain)
    assert all(same(a, b) and a.rate == 1.0 for a, b in zip(made, plain, strict=True))


def test_batch_numbers_outside_the_pass() -> None:
    cut = Streams(2, 4).batches(as_input(numbered(20)), SYMBOLS)
    for k in (-1, len(cut)):
        with pytest.raises(IndexError, match=f"batch {k} of a pass of 3"):
            cut[k]


def test_a_text_too_short() -> None:
    with pytest.raises(
        DataError, match=r"has 40 symbols, expected at least 65 for 64 .*fewer streams: --set batching.streams=4$"
    ):
        Streams(64, 9).batches(as_input(numbered(40)), SYMBOLS)
    Streams(4, 9).batches(as_input(numbered(40)), SYMBOLS)
    assert len(Streams(64, 9).batches(as_input(numbered(65)), SYMBOLS)) == 1
    assert len(Streams(64, 9, random_start=True).batches(as_input(numbered(65)), SYMBOLS)) == 1


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("whole", [False, True])
def test_a_text_of_no_target(count: int, whole: bool) -> None:
    with pytest.raises(
        DataError, match=rf"has {count} symbols?, expected at least .*: nothing to predict\. Use a longer"
    ):
        Streams(2).batches(as_input(numbered(count)), SYMBOLS, whole=whole)


@pytest.mark.parametrize("key", ["streams", "steps"])
def test_settings_out_of_range(key: str) -> None:
    with pytest.raises(ConfigError, match=f"batching.{key} = 0, expected 1 or more"):
        construct("batching", {"kind": "streams", key: 0})


def test_streams_of_vectors() -> None:
    rows = np.random.default_rng(0).normal(size=(21, 3)).astype(np.float32)
    layouts = {"input": Layout((None, 3), along=True), "hour": Layout(along=True)}
    encoded = [{"input": rows, "hour": np.arange(21)}]
    cut = Streams(4, 3).batches(encoded, layouts)
    inputs, targets, hours = (joined(cut, name) for name in ("input", "target", "hour"))
    assert inputs.dtype == torch.float32 and inputs.shape == (4, 5, 3)
    assert torch.equal(inputs.reshape(20, 3), torch.from_numpy(rows[:20]))
    assert torch.equal(targets.reshape(20, 3), torch.from_numpy(rows[1:]))
    assert hours.reshape(-1).tolist() == list(range(20))
    assert cut[0].fields["input"].transpose(0, 1).is_contiguous()
    whole = Streams(3, 4).batches(encoded[:1] * 1, layouts, whole=True)
    last = whole[len(whole) - 1]
    assert last.structure.values is not None
    for b, n in enumerate(last.structure.values.tolist()):
        assert (last.fields["input"][b, n:] == 0).all() and (last.fields["target"][b, n:] == 0).all()


def test_several_sequences_are_read_one_after_the_other() -> None:
    parts = [{"input": numbered(30)[:11]}, {"input": numbered(30)[11:]}]
    for whole in (False, True):
        one, other = (Streams(3, 4).batches(each, SYMBOLS, whole=whole) for each in (as_input(numbered(30)), parts))
        assert len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
