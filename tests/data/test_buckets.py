"""Buckets: every sequence once, little padding, the same order for the same epoch, and what a batch holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.buckets import BucketEpoch, Buckets
from recurra.data.encode import Encoder
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.types import Batch

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=60)
SETTINGS = {"size": st.integers(1, 9), "tokens": st.none() | st.integers(1, 40), "shuffle": st.booleans()}


def numbered(lengths: list[int], **more: Any) -> list[dict[str, Any]]:
    """Sequences in which every number tells which one it is of, and where."""
    return [
        {
            "input": np.arange(n) + 1000 * (row + 1),
            "tags": np.arange(n) + 7,
            "label": np.int64(row),
            "place": f"t:{row}",
            **more,
        }
        for row, n in enumerate(lengths)
    ]


def lengths_of(batch: Batch) -> list[int]:
    B, T = batch.fields["input"].shape
    return [T] * B if batch.structure.values is None else batch.structure.values.tolist()


def check_batches(epoch: BucketEpoch, encoded: list[dict[str, Any]]) -> None:
    assert sorted(row for rows in epoch.order for row in rows) == list(range(len(encoded)))
    for rows, batch in zip(epoch.order, epoch, strict=True):
        fields, lengths = batch.fields, lengths_of(batch)
        assert fields["input"].shape == fields["tags"].shape == (len(rows), max(1, *lengths))
        assert batch.first and fields["label"].tolist() == rows
        assert (batch.structure.values is None) == (set(lengths) == {fields["input"].shape[1]})
        for b, (row, n) in enumerate(zip(rows, lengths, strict=True)):
            assert fields["input"][b, :n].tolist() == encoded[row]["input"][: epoch.longest].tolist()
            assert fields["tags"][b, :n].tolist() == encoded[row]["tags"][: epoch.longest].tolist()
            assert (fields["input"][b, n:] == 0).all() and (fields["tags"][b, n:] == -100).all()
        for name in ("input", "tags"):
            assert fields[name].dtype == torch.int64 and fields[name].t().is_contiguous()


@given(lengths=LENGTHS, epoch=st.integers(0, 3), **SETTINGS)
def test_every_sequence_is_in_one_batch(
    lengths: list[int], epoch: int, size: int, tokens: int | None, shuffle: bool
) -> None:
    encoded = numbered(lengths)
    buckets = Buckets(size, tokens, shuffle)
    made = buckets.batches(encoded, None, epoch=epoch, seed=3)
    check_batches(made, encoded)
    for rows in made.order:
        longest = max(lengths[row] for row in rows)
        assert len(rows) <= size
        assert tokens is None or len(rows) == 1 or len(rows) * longest <= tokens
    if not shuffle:
        assert made.order == buckets.batches(encoded, None, epoch=epoch + 1, seed=8).order


@given(lengths=LENGTHS, **SETTINGS)
def test_whole_is_in_the_order_of_lengths(lengths: list[int], size: int, tokens: int | None, shuffle: bool) -> None:
    encoded = numbered(lengths)
    made = Buckets(size, tokens, shuffle).batches(encoded, None, epoch=2, whole=True)
    check_batches(made, encoded)
    rows = [row for rows in made.order for row in rows]
    assert rows == sorted(rows, key=lambda row: (lengths[row], row))


def test_no_sequences() -> None:
    for whole in (False, True):
        assert len(Buckets().batches([], None, whole=whole)) == 0


def test_an_epoch_repeats_and_the_next_differs() -> None:
    encoded = numbered(np.random.default_rng(0).integers(1, 30, 500).tolist())
    orders = [Buckets(8).batches(encoded, None, epoch=e, seed=s).order for e, s in [(0, 0), (0, 0), (1, 0), (0, 1)]]
    assert orders[0] == orders[1]
    sets = [{frozenset(rows) for rows in order} for order in orders]
    assert len(sets[0] & sets[2]) < len(sets[0]) / 4, "other sequences meet, too"
    assert len(sets[0] & sets[3]) < len(sets[0]) / 4
    first = [max(len(encoded[row]["input"]) for row in rows) for rows in orders[0]]
    assert np.abs(np.corrcoef(first, np.arange(len(first)))[0, 1]) < 0.3, "lengths come in no order"


def test_rare_lengths_meet_others_in_every_epoch() -> None:
    encoded = numbered(list(range(200, 600)))
    sets = [{frozenset(rows) for rows in Buckets(8).batches(encoded, None, epoch=e).order} for e in (0, 1)]
    assert len(sets[0] & sets[1]) < 5


def test_little_is_padded() -> None:
    lengths = (np.random.default_rng(1).gamma(2.0, 7.0, 4000).astype(int) + 1).tolist()
    encoded = numbered(lengths)
    epoch = Buckets(32).batches(encoded, None)
    shares = [
        1 - sum(lengths) / sum(batch.fields["input"].numel() for batch in made)
        for made in (epoch, Buckets(32, shuffle=False).batches(encoded, None))
    ]
    assert shares[0] < shares[1] + 0.01 < 0.04, "hardly more than without a shuffle"
    assert sum(batch.structure.values is None for batch in epoch) > 0.7 * len(epoch)


@given(lengths=LENGTHS, start=st.integers(0, 70), **SETTINGS)
def test_a_resume_at_batch_k_is_the_tail_of_the_pass(
    lengths: list[int], start: int, size: int, tokens: int | None, shuffle: bool
) -> None:
    encoded = numbered(lengths)
    buckets = Buckets(size, tokens, shuffle)
    full = list(buckets.batches(encoded, None, epoch=4, seed=2))
    again = buckets.batches(encoded, None, epoch=4, seed=2)
    start = min(start, len(again))
    tail = list(again.iter(start))
    assert len(tail) == len(full) - start
    for one, other in zip(tail, full[start:], strict=True):
        assert all(torch.equal(one.fields[name], other.fields[name]) for name in one.fields)
        assert lengths_of(one) == lengths_of(other)


def test_batch_numbers_outside_the_pass() -> None:
    epoch = Buckets(2).batches(numbered([1, 2, 3]), None)
    for k in (-1, 2):
        with pytest.raises(IndexError, match=f"batch {k} of a pass of 2"):
            epoch[k]
    with pytest.raises(DataError, match=r"cannot go on at batch 3: the pass has 2 batches\. Are the data and"):
        epoch.iter(3)


def test_several_labels_and_none() -> None:
    labels = [np.array([0, 1], np.float32), np.array([1, 1], np.float32)]
    encoded = [{"input": np.arange(2), "labels": row, "place": ""} for row in labels]
    fields = Buckets().batches(encoded, None, whole=True)[0].fields
    assert fields["labels"].tolist() == [[0, 1], [1, 1]] and fields["labels"].dtype == torch.float32
    assert fields.keys() == {"input", "labels"}


WORDS = st.lists(st.lists(st.text("abc", max_size=5), max_size=6), min_size=1, max_size=8)


@given(WORDS, st.booleans())
def test_words_are_spelled(sentences: list[list[str]], whole: bool) -> None:
    encoder = Encoder.make({"kind": "tokens"}, True, []).fit([{"tokens": ["a", "b"]}])
    encoded = [encoder.encode({"tokens": words}) for words in sentences]
    assert encoder.spell is not None
    made = Buckets(4).batches(encoded, encoder.spell, whole=whole)
    for rows, batch in zip(made.order, made, strict=True):
        fields = batch.fields
        spellings, lengths, places = (fields[name] for name in ("spellings", "spelling_lengths", "spelling"))
        words = [sentences[row] for row in rows]
        assert len(spellings) == len(lengths) == max(1, len({word for sentence in words for word in sentence}))
        assert places.shape == fields["input"].shape and places.t().is_contiguous()
        assert spellings.shape[1] == lengths.max() and lengths.min() >= 1
        for b, sentence in enumerate(words):
            for t, word in enumerate(sentence):
                row, expected = places[b, t], encoder.spell(word).tolist()
                assert spellings[row, : lengths[row]].tolist() == expected
                assert (spellings[row, lengths[row] :] == 0).all()
            assert (places[b, len(sentence) :] == 0).all()
        assert all(fields[name].dtype == torch.int64 for name in ("spellings", "spelling_lengths", "spelling"))


def test_a_sentence_of_100_000_tokens() -> None:
    encoded = numbered([3, 100_000, 4])
    with pytest.raises(
        DataError, match=r"^t:1: a sequence of 100,000 tokens, expected 10,000 at most\. .*batching.longest=100000, or "
    ):
        Buckets().batches(encoded, None)
    cut = Buckets(cut_long=True).batches(encoded, None)
    assert cut.cut == 1
    check_batches(cut, encoded)
    assert max(batch.fields["input"].shape[1] for batch in cut) == 10_000
    whole = Buckets().batches(encoded, None, whole=True)
    assert (whole.cut, whole.order) == (0, [[0, 2, 1]])
    check_batches(whole, encoded)


def test_a_very_long_sequence_shares_its_batch_with_few() -> None:
    encoded = numbered([50] * 20 + [100] * 3 + [999])
    order = Buckets(8, longest=100).batches(encoded, None, whole=True).order
    assert [len(rows) for rows in order] == [8, 8, 7, 1]


def test_words_are_cut_with_their_sequence() -> None:
    encoder = Encoder.make({"kind": "tokens"}, True, []).fit([{"tokens": ["a", "b"]}])
    encoded = [encoder.encode({"tokens": ["a", "b", "a", "c"]})]
    batch = Buckets(longest=2, cut_long=True).batches(encoded, encoder.spell)[0]
    assert batch.fields["spelling"].tolist() == [[0, 1]] and len(batch.fields["spellings"]) == 2


def test_a_batch_of_empty_sentences() -> None:
    encoder = Encoder.make({"kind": "tokens"}, True, []).fit([{"tokens": ["a", "b"]}])
    batch = Buckets().batches([encoder.encode({"tokens": []})] * 2, encoder.spell)[0]
    assert batch.fields["input"].tolist() == batch.fields["spelling"].tolist() == [[0], [0]]
    assert batch.structure.values is not None and batch.structure.values.tolist() == [0, 0]
    assert batch.fields["spellings"].tolist() == [[0]]


def test_examples_of_unlike_fields() -> None:
    encoded = numbered([3, 3])
    del encoded[1]["tags"]
    with pytest.raises(DataError, match=r"^t:1: no tags, expected as t:0 has\. Label all examples of a part, or none"):
        Buckets().batches(encoded, None, whole=True)[0]
    with pytest.raises(DataError, match=r"^t:1: no tags, expected as t:0 has"):
        Buckets().batches(encoded[::-1], None, whole=True)[0]


@pytest.mark.parametrize("key", ["size", "tokens", "longest"])
def test_settings_out_of_range(key: str) -> None:
    with pytest.raises(ConfigError, match=f"batching.{key} = 0, expected 1 or more"):
        construct("batching", {"kind": "buckets", key: 0})
