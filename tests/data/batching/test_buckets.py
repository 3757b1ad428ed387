"""Buckets: every sequence once, little padding, the same order for the same epoch, and what a batch holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.batching.buckets import BucketEpoch, Buckets
from recurra.data.batching.layout import Layout
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError
from recurra.registry import construct
from recurra.types import Batch, Field

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=60)
SETTINGS = {"size": st.integers(1, 9), "tokens": st.none() | st.integers(1, 40), "shuffle": st.booleans()}


LAYOUTS = {
    "input": Layout(along=True),
    "tags": Layout(padding=-100, along=True),
    "segments": Layout(along=True),
    "label": Layout(shape=()),
    "labels": Layout(shape=(2,)),
    "target": Layout(padding=-100),
}
SPELLED = {
    "input": Field(("tokens",), {"kind": "tokens"}),
    "characters": Field((), {"kind": "spelling"}, along=True),
}


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
    made = buckets.batches(encoded, LAYOUTS, epoch=epoch, seed=3)
    check_batches(made, encoded)
    for rows in made.order:
        longest = max(lengths[row] for row in rows)
        assert len(rows) <= size
        assert tokens is None or len(rows) == 1 or len(rows) * longest <= tokens
    if not shuffle:
        assert made.order == buckets.batches(encoded, LAYOUTS, epoch=epoch + 1, seed=8).order


@given(lengths=LENGTHS, **SETTINGS)
def test_whole_is_in_the_order_of_lengths(lengths: list[int], size: int, tokens: int | None, shuffle: bool) -> None:
    encoded = numbered(lengths)
    made = Buckets(size, tokens, shuffle).batches(encoded, LAYOUTS, epoch=2, whole=True)
    check_batches(made, encoded)
    rows = [row for rows in made.order for row in rows]
    assert rows == sorted(rows, key=lambda row: (lengths[row], row))


def test_no_sequences() -> None:
    for whole in (False, True):
        assert len(Buckets().batches([], LAYOUTS, whole=whole)) == 0


def test_an_epoch_repeats_and_the_next_differs() -> None:
    encoded = numbered(np.random.default_rng(0).integers(1, 30, 500).tolist())
    orders = [Buckets(8).batches(encoded, LAYOUTS, epoch=e, seed=s).order for e, s in [(0, 0), (0, 0), (1, 0), (0, 1)]]
    assert orders[0] == orders[1]
    sets = [{frozenset(rows) for rows in order} for order in orders]
    assert len(sets[0] & sets[2]) < len(sets[0]) / 4, "other sequences meet, too"
    assert len(sets[0] & sets[3]) < len(sets[0]) / 4
    first = [max(len(encoded[row]["input"]) for row in rows) for rows in orders[0]]
    assert np.abs(np.corrcoef(first, np.arange(len(first)))[0, 1]) < 0.3, "lengths come in no order"


def test_rare_lengths_meet_others_in_every_epoch() -> None:
    encoded = numbered(list(range(200, 600)))
    sets = [{frozenset(rows) for rows in Buckets(8).batches(encoded, LAYOUTS, epoch=e).order} for e in (0, 1)]
    assert len(sets[0] & sets[1]) < 5


def test_little_is_padded() -> None:
    lengths = (np.random.default_rng(1).gamma(2.0, 7.0, 4000).astype(int) + 1).tolist()
    encoded = numbered(lengths)
    epoch = Buckets(32).batches(encoded, LAYOUTS)
    shares = [
        1 - sum(lengths) / sum(batch.fields["input"].numel() for batch in made)
        for made in (epoch, Buckets(32, shuffle=False).batches(encoded, LAYOUTS))
    ]
    assert shares[0] < shares[1] + 0.01 < 0.04, "hardly more than without a shuffle"
    assert sum(batch.structure.values is None for batch in epoch) > 0.7 * len(epoch)


@given(lengths=LENGTHS, start=st.integers(0, 70), **SETTINGS)
def test_a_resume_at_batch_k_is_the_tail_of_the_pass(
    lengths: list[int], start: int, size: int, tokens: int | None, shuffle: bool
) -> None:
    encoded = numbered(lengths)
    buckets = Buckets(size, tokens, shuffle)
    full = list(buckets.batches(encoded, LAYOUTS, epoch=4, seed=2))
    again = buckets.batches(encoded, LAYOUTS, epoch=4, seed=2)
    start = min(start, len(again))
    tail = [again[k] for k in range(start, len(again))]
    assert len(tail) == len(full) - start
    for one, other in zip(tail, full[start:], strict=True):
        assert all(torch.equal(one.fields[name], other.fields[name]) for name in one.fields)
        assert lengths_of(one) == lengths_of(other)


def test_batch_numbers_outside_the_pass() -> None:
    epoch = Buckets(2).batches(numbered([1, 2, 3]), LAYOUTS)
    for k in (-1, 2):
        with pytest.raises(IndexError, match=f"batch {k} of a pass of 2"):
            epoch[k]


def test_several_labels_and_none() -> None:
    labels = [np.array([0, 1], np.float32), np.array([1, 1], np.float32)]
    encoded = [{"input": np.arange(2), "labels": row, "place": ""} for row in labels]
    fields = Buckets().batches(encoded, LAYOUTS, whole=True)[0].fields
    assert fields["labels"].tolist() == [[0, 1], [1, 1]] and fields["labels"].dtype == torch.float32
    assert fields.keys() == {"input", "labels"}


WORDS = st.lists(st.lists(st.text("abc", max_size=5), max_size=6), min_size=1, max_size=8)


@given(WORDS, st.booleans())
def test_words_are_spelled(sentences: list[list[str]], whole: bool) -> None:
    encoder = Codecs(SPELLED).fit([{"tokens": ["a", "b"]}])
    encoded = [encoder.encode({"tokens": words}) for words in sentences]
    made = Buckets(4).batches(encoded, encoder.layouts, whole=whole)
    for rows, batch in zip(made.order, made, strict=True):
        fields = batch.fields
        spellings, lengths, places = (fields[name] for name in ("spellings", "spelling_lengths", "spelling"))
        words = [sentences[row] for row in rows]
        assert len(spellings) == len(lengths) == max(1, len({word for sentence in words for word in sentence}))
        assert places.shape == fields["input"].shape and places.t().is_contiguous()
        assert spellings.shape[1] == lengths.max() and lengths.min() >= 1
        for b, sentence in enumerate(words):
            for t, word in enumerate(sentence):
                row, expected = places[b, t], encoder["characters"].spell(word).tolist()
                assert spellings[row, : lengths[row]].tolist() == expected
                assert (spellings[row, lengths[row] :] == 0).all()
            assert (places[b, len(sentence) :] == 0).all()
        assert all(fields[name].dtype == torch.int64 for name in ("spellings", "spelling_lengths", "spelling"))


def test_a_sentence_of_100_000_tokens() -> None:
    encoded = numbered([3, 100_000, 4])
    with pytest.raises(
        DataError, match=r"^t:1: a sequence of 100,000 tokens, expected 10,000 at most\. .*batching.longest=100000, or "
    ):
        Buckets().batches(encoded, LAYOUTS)
    cut = Buckets(cut_long=True).batches(encoded, LAYOUTS)
    assert cut.cut == 1
    check_batches(cut, encoded)
    assert max(batch.fields["input"].shape[1] for batch in cut) == 10_000
    whole = Buckets().batches(encoded, LAYOUTS, whole=True)
    assert (whole.cut, whole.order) == (0, [[0, 2, 1]])
    check_batches(whole, encoded)


def test_a_very_long_sequence_shares_its_batch_with_few() -> None:
    encoded = numbered([50] * 20 + [100] * 3 + [999])
    order = Buckets(8, longest=100).batches(encoded, LAYOUTS, whole=True).order
    assert [len(rows) for rows in order] == [8, 8, 7, 1]


def test_words_are_cut_with_their_sequence() -> None:
    encoder = Codecs(SPELLED).fit([{"tokens": ["a", "b"]}])
    encoded = [encoder.encode({"tokens": ["a", "b", "a", "c"]})]
    batch = Buckets(longest=2, cut_long=True).batches(encoded, encoder.layouts)[0]
    assert batch.fields["spelling"].tolist() == [[0, 1]] and len(batch.fields["spellings"]) == 2


def test_a_batch_of_empty_sentences() -> None:
    encoder = Codecs(SPELLED).fit([{"tokens": ["a", "b"]}])
    batch = Buckets().batches([encoder.encode({"tokens": []})] * 2, encoder.layouts)[0]
    assert batch.fields["input"].tolist() == batch.fields["spelling"].tolist() == [[0], [0]]
    assert batch.structure.values is not None and batch.structure.values.tolist() == [0, 0]
    assert batch.fields["spellings"].tolist() == [[0]]


def test_examples_of_unlike_fields() -> None:
    encoded = numbered([3, 3])
    del encoded[1]["tags"]
    with pytest.raises(DataError, match=r"^t:1: no tags, expected as t:0 has\. Label all examples of a part, or none"):
        Buckets().batches(encoded, LAYOUTS, whole=True)[0]
    with pytest.raises(DataError, match=r"^t:1: no tags, expected as t:0 has"):
        Buckets().batches(encoded[::-1], LAYOUTS, whole=True)[0]


def pairs(lengths: list[tuple[int, int]], **more: Any) -> list[dict[str, Any]]:
    """Pairs in which every number tells which one it is of, and where."""
    return [
        {"input": np.arange(t) + 1000 * row, "target": np.arange(u) + 1000 * row, "place": f"p:{row}", **more}
        for row, (t, u) in enumerate(lengths)
    ]


def check_pairs(epoch: BucketEpoch, encoded: list[dict[str, Any]], kept: list[int]) -> None:
    assert sorted(row for rows in epoch.order for row in rows) == kept
    for rows, batch in zip(epoch.order, epoch, strict=True):
        target = batch.fields["target"]
        assert target.dtype == torch.int64 and target.t().is_contiguous()
        assert target.shape == (len(rows), max(len(encoded[row]["target"]) for row in rows))
        for b, (row, t) in enumerate(zip(rows, lengths_of(batch), strict=True)):
            u = len(encoded[row]["target"])
            assert t == len(encoded[row]["input"])
            assert batch.fields["input"][b, :t].tolist() == encoded[row]["input"].tolist()
            assert target[b, :u].tolist() == encoded[row]["target"].tolist() and (target[b, u:] == -100).all()


BOTH = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=60)


@given(lengths=BOTH, epoch=st.integers(0, 3), whole=st.booleans(), **SETTINGS)
def test_every_pair_is_in_one_batch(
    lengths: list[tuple[int, int]], epoch: int, whole: bool, size: int, tokens: int | None, shuffle: bool
) -> None:
    encoded = pairs(lengths)
    buckets = Buckets(size, tokens, shuffle)
    made = buckets.batches(encoded, LAYOUTS, epoch=epoch, seed=3, whole=whole)
    check_pairs(made, encoded, list(range(len(encoded))))
    assert made.order == buckets.batches(encoded, LAYOUTS, epoch=epoch, seed=3, whole=whole).order
    for rows in made.order:
        longest = max(max(lengths[row]) for row in rows)
        assert len(rows) <= size
        assert tokens is None or len(rows) == 1 or len(rows) * longest <= tokens, "the longer side counts"
    rows = [row for rows in made.order for row in rows]
    if whole:
        assert rows == sorted(rows, key=lambda row: (*lengths[row], row))
    elif not shuffle:
        assert [lengths[row][1] for row in rows] == sorted(lengths[row][1] for row in rows)


def test_little_is_padded_on_both_sides() -> None:
    random = np.random.default_rng(1)
    targets = random.gamma(12.0, 1.2, 20_000).astype(int) + 1
    sources = np.maximum(1, targets + random.normal(0, 2, 20_000).astype(int))
    encoded = pairs(list(zip(sources.tolist(), targets.tolist(), strict=True)))
    for settings, source, target in (({"size": 64}, 0.06, 0.01), ({"size": 128, "tokens": 2000}, 0.09, 0.015)):
        for shuffle in (True, False):
            epoch = list(Buckets(**settings, shuffle=shuffle).batches(encoded, LAYOUTS))
            inputs = sum(batch.fields["input"].numel() for batch in epoch)
            outputs = sum(batch.fields["target"].numel() for batch in epoch)
            assert 1 - sources.sum() / inputs < source and 1 - targets.sum() / outputs < target
    orders = [{frozenset(rows) for rows in Buckets(64).batches(encoded, LAYOUTS, epoch=e).order} for e in (0, 1)]
    assert len(orders[0] & orders[1]) < len(orders[0]) / 20, "other pairs meet in every epoch"


def test_sources_alone_are_in_the_order_of_their_lengths() -> None:
    encoded = [{"input": np.arange(n), "place": ""} for n in (3, 1, 2, 1)]
    made = Buckets(3).batches(encoded, LAYOUTS, whole=True)
    assert made.order == [[1, 3, 2], [0]] and made[0].fields.keys() == {"input"}


def test_pairs_that_are_too_long_are_left_out_of_training_and_counted() -> None:
    encoded = pairs([(3, 4), (9, 2), (5, 5), (2, 8), (5, 1)])
    for shuffle in (True, False):
        made = Buckets(2, longest=5, shuffle=shuffle).batches(encoded, LAYOUTS)
        assert (made.left_out, made.cut) == (2, 0)
        check_pairs(made, encoded, [0, 2, 4])
    whole = Buckets(2, longest=5).batches(encoded, LAYOUTS, whole=True)
    assert whole.left_out == 0
    check_pairs(whole, encoded, [0, 1, 2, 3, 4])
    with pytest.raises(
        DataError, match=r"^p:0: this pair and all others have a side of more than 2 tokens, their end .*=4$"
    ):
        Buckets(longest=2).batches(encoded[:3], LAYOUTS)
    with pytest.raises(
        ConfigError, match=r"batching.cut_long is for sequences with labels; of a pair nothing is cut, and"
    ):
        Buckets(cut_long=True).batches(encoded, LAYOUTS)


def test_a_pair_without_a_target() -> None:
    encoded = pairs([(3, 4), (3, 2)])
    del encoded[1]["target"]
    with pytest.raises(
        DataError, match=r"^p:1: no target, expected as p:0 has\. Label all examples of a part, or none"
    ):
        list(Buckets().batches(encoded, LAYOUTS, whole=True))


def test_segments_are_padded_with_0() -> None:
    encoded = [{"input": np.arange(n), "segments": np.arange(n) + 1, "place": ""} for n in (2, 3)]
    segments = Buckets().batches(encoded, LAYOUTS, whole=True)[0].fields["segments"]
    assert segments.tolist() == [[1, 2, 0], [1, 2, 3]] and segments.t().is_contiguous()


@pytest.mark.parametrize("key", ["size", "tokens", "longest"])
def test_settings_out_of_range(key: str) -> None:
    with pytest.raises(ConfigError, match=f"batching.{key} = 0, expected 1 or more"):
        construct("batching", {"kind": "buckets", key: 0})


def test_vectors_are_laid_as_symbols_are() -> None:
    draw = np.random.default_rng(0)
    layouts = {
        "input": Layout((None, 3), along=True),
        "label": Layout(()),
        "goal": Layout((2,)),
        "path": Layout((None, 2), padding=-1.0),
    }
    encoded = [
        {
            "input": draw.normal(size=(n, 3)).astype(np.float32),
            "label": np.int64(n),
            "goal": np.full(2, n, np.float32),
            "path": np.full((7 - n, 2), n, np.float32),
            "place": f"v:{n}",
        }
        for n in (2, 5, 0)
    ]
    (batch,) = Buckets().batches(encoded, layouts, whole=True)
    assert batch.fields["label"].tolist() == [0, 2, 5] and batch.fields["goal"].tolist() == [[0, 0], [2, 2], [5, 5]]
    assert batch.fields["input"].shape == (3, 5, 3) and batch.fields["input"].transpose(0, 1).is_contiguous()
    assert batch.structure.values is not None and batch.structure.values.tolist() == [0, 2, 5]
    assert torch.equal(batch.fields["input"][1, :2], torch.from_numpy(encoded[0]["input"]))
    assert (batch.fields["input"][1, 2:] == 0).all()
    assert list(batch.lengths) == ["path"] and batch.lengths["path"].tolist() == [7, 5, 2]
    assert batch.fields["path"].shape == (3, 7, 2) and (batch.fields["path"][2, 2:] == -1).all()


def test_the_lengths_of_targets_are_told() -> None:
    (batch,) = Buckets().batches(pairs([(3, 4), (3, 2)]), LAYOUTS, whole=True)
    assert batch.structure.values is None and batch.lengths["target"].tolist() == [2, 4]
