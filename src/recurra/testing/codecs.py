"""What every codec must show: values come back, the unknown has its number, what is saved encodes the same.

A codec is named by its kind. It is fitted on `VALUES` of each form that it reads, or on those that it brings itself as
an attribute `sample`: a few values of a form that is new, or by form those of a codec that does not read all texts. A
check raises AssertionError with what disagrees.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.batching.layout import Layout, laid, layout_of
from recurra.data.codecs.contract import Codec, EncodesMany, Lays
from recurra.data.codecs.file import from_record
from recurra.data.sound import Sound
from recurra.errors import CheckpointError, DataError
from recurra.registry import construct
from recurra.types import IGNORED

TEXT = ("the dog ran home\nthe cat slept", "a dog ran", "the cat ran\n")
VALUES: dict[str, Sequence[Any]] = {
    "text": TEXT,
    "tokens": tuple(text.split() for text in TEXT),
    "tags": (["B", "O", "B"], ["O"], []),
    "label": ("good", "bad", "good"),
    "labels": (["b", "a"], [], ["b"]),  # the most frequent first
    "number": (1.5, -2.0, 40.0),
    "numbers": (np.array([1.0, 2.5, -3.0]), np.array([4.0]), np.array([0.0, 7.0])),
    "vectors": (np.arange(6.0).reshape(3, 2), np.array([[9.0, -1.0]]), np.zeros((2, 2))),
    "integers": ([1, 1, 2], [3], [0, 5]),
    "notes": ([[60, 64], [], [62]], [[21, 108]], []),
    "moves": (np.array([[3.0, -1, 0], [2, 2, 1]]), np.array([[0.0, 5, 1]]), np.zeros((0, 3))),
    "times": (["2020-01-31 22:30", "2020-01-31 23:30"], ["2020-02-29"], []),
    "sound": tuple(
        Sound(np.sin(np.arange(count) / 3).astype(np.float32), rate)
        for count, rate in ((500, 8000), (1100, 8000), (700, 11025), (0, 8000))
    ),
    "image": tuple(
        np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in ((9, 30), (40, 7), (5, 6, 3))
    ),
}
"""Values of each form, to be learned from."""
NEW: dict[str, Any] = {"text": "§", "tokens": ["§"], "tags": ["never"], "label": "never", "labels": ["never"]}
"""Values that hold nothing of those."""
WRONG: dict[str, Sequence[Any]] = {
    "number": (np.nan, "x", np.zeros(2)),
    "numbers": (np.array([1.0, np.inf]), ["x"], np.zeros((2, 2))),
    "vectors": (np.full((1, 2), np.nan), [["x", "y"]], np.zeros((2, 3)), np.zeros(2)),
    "integers": ([0.5], ["x"], [[1]]),
    "notes": ([[128]], [[-1]], ["x"], [[60.5]], 3),
    "moves": (np.zeros((2, 2)), np.full((1, 3), np.nan), np.array([[1.0, 1, 2]]), [["x", "y", "z"]]),
    "times": (["x"], [3.5]),
    "sound": (np.zeros(800), "x", b"RIFF"),
    "image": (np.zeros((2, 3)), np.zeros(4, np.uint8), np.zeros((0, 3), np.uint8), np.zeros((2, 3, 4), np.uint8), "x"),
}
"""Values that no codec of these forms takes, once it has learned from `VALUES`."""


def check_values(kind: str) -> None:
    """Values come back, tokens perhaps as a text, and a text perhaps with other white space; arrays are of the type and
    shape that the codec says."""
    for codec, form, values in _fitted(kind):
        arrays = [codec.encode(value) for value in values]
        for value, array in zip(values, arrays, strict=True):
            about = f"{kind} of {form}: {value!r}"
            assert isinstance(array, np.ndarray) and array.dtype == codec.dtype, f"{about} is {array!r}"
            _check_shape(codec, array, about)
            again = codec.decode(array)
            if getattr(codec, "comes_back", True):
                assert _came_back(again, value), f"{about} comes back as {again!r}"
            assert np.array_equal(codec.encode(value), array), f"{about}: encoded twice, it differs"
        if isinstance(codec, EncodesMany):
            many = codec.encode_all(list(values))
            assert all(map(np.array_equal, many, arrays)), f"{kind} of {form}: many at once are encoded otherwise"


def check_symbols(kind: str) -> None:
    """A codec of symbols numbers them from 0, names every number, and has one for what it never saw, or refuses it."""
    for codec, form, values in _fitted(kind):
        if not hasattr(codec, "symbols"):
            continue
        size = codec.size
        assert size == len(codec) == len(codec.symbols) == len(set(codec.symbols)), f"{kind}: symbols are not distinct"
        assert len(codec.pieces(range(size))) == size, f"{kind}: not as many pieces as numbers"
        if codec.dtype is np.int64:
            _check_numbers(codec, f"{kind} of {form}", values, NEW.get(form))


def check_saved(kind: str) -> None:
    """Restored from its record, through JSON, and its arrays, it encodes the same, bit for bit; a record without what
    was learned, or without an array, is refused."""
    for codec, form, values in _fitted(kind):
        record, arrays = json.loads(json.dumps(codec.record())), codec.arrays()
        assert record["kind"] == kind and isinstance(record["settings"], dict), f"{kind}: its record is {record}"
        again = from_record(record, {name: array.copy() for name, array in arrays.items()})
        assert again.record() == codec.record(), f"{kind} of {form}: another record once restored"
        new = [] if isinstance(getattr(codec, "sample", None), Mapping) else [NEW[form]] if form in NEW else []
        for value in [*values, *new]:
            one, other = codec.encode(value), again.encode(value)
            same = one.dtype == other.dtype and (one == other).all()
            assert same and one.shape == other.shape, f"{kind} of {form}: restored, it encodes {value!r} otherwise"
        learned = record.keys() - {"kind", "settings"}
        if learned:
            _refused(
                kind, "a record of its settings alone", CheckpointError, from_record, {"kind": kind, "settings": {}}
            )
        for name in arrays:
            left = {key: array for key, array in arrays.items() if key != name}
            _refused(kind, f"a record without {name}", CheckpointError, from_record, record, left)


def check_batches(kind: str) -> None:
    """Values of different lengths lie in one batch, each as it is alone, and padding behind it."""
    for codec, form, values in _fitted(kind):
        arrays = [codec.encode(value) for value in values]
        layout = layout_of(codec, along=False, learned=False)
        steps = [np.arange(len(array) if array.ndim else 1) for array in arrays]
        encoded = [{"input": step, "field": array, "place": ""} for step, array in zip(steps, arrays, strict=True)]
        along = isinstance(codec, Lays)
        layouts = {"input": Layout(along=True), "field": layout_of(codec, along, learned=False)}
        fields, _, lengths = laid(encoded, layouts)
        if along:
            alone = [laid([each], layouts)[0] for each in encoded]
            assert all(fields.keys() == each.keys() for each in alone), f"{kind} of {form}: other fields in one batch"
            axes = {name: len(of) for name, of in codec.axes.items()}
            there = {name: tensor.dim() for name, tensor in fields.items() if name != "input"}
            assert there == axes, f"{kind} of {form}: fields {there}, its axes say {axes}"
            drawn = codec.random(np.random.default_rng(0), 3)
            assert codec.batched([drawn], 3).keys() == axes.keys(), f"{kind} of {form}: of a random value other fields"
            continue
        for row, array in enumerate(arrays):
            found = fields["field"][row].numpy()
            if layout.ragged:
                assert int(lengths["field"][row]) == len(array), f"{kind} of {form}: length {lengths['field'][row]}"
                assert (found[len(array) :] == layout.padding).all(), f"{kind} of {form}: padded with something else"
                found = found[: len(array)]
            assert np.array_equal(found, array), f"{kind} of {form}: in a batch {found!r}, alone {array!r}"


def check_refusals(kind: str) -> None:
    """Training values that hold nothing, and values that cannot be encoded, are refused in a sentence."""
    for codec, form, values in _fitted(kind):
        for value in WRONG.get(form, ()):
            _refused(kind, f"{value!r}", DataError, codec.encode, value)
        if codec.record().keys() - {"kind", "settings"}:
            _refused(kind, "learning from nothing", DataError, construct("codec", {"kind": kind}).fit, [])
        assert codec.size >= 0 and values, kind


CODEC_CHECKS = (check_values, check_symbols, check_saved, check_batches, check_refusals)
"""What a codec must show; `check_codec` does all."""


def check_codec(kind: str) -> None:
    """All checks of a registered codec, with its default settings."""
    for check in CODEC_CHECKS:
        check(kind)


def _fitted(kind: str) -> Iterator[tuple[Any, str, Sequence[Any]]]:
    """The codec fitted on values of each form that it reads; with the form and the values."""
    made = construct("codec", {"kind": kind})
    own = getattr(made, "sample", None)
    assert made.forms, f"{kind}: reads no form"
    for form in made.forms:
        values = own.get(form) if isinstance(own, Mapping) else VALUES.get(form, own)
        assert values, f"{kind}: no values of the form {form!r} here; give it an attribute `sample` with some"
        yield construct("codec", {"kind": kind}).fit(list(values)), form, values


def _check_shape(codec: Codec, array: NDArray[Any], about: str) -> None:
    fits = len(array.shape) == len(codec.shape) and all(
        expected in (None, found) for expected, found in zip(codec.shape, array.shape, strict=True)
    )
    assert fits, f"{about} has the shape {array.shape}, not {codec.shape}"


def _check_numbers(codec: Any, about: str, values: Sequence[Any], new: Any) -> None:
    ids = np.concatenate([codec.encode(value).reshape(-1) for value in values])
    assert ((ids >= 0) & (ids < codec.size)).all(), f"{about}: numbers that are no symbols"
    assert not (ids == codec.unknown).any(), f"{about}: what it learned from is unknown"
    if new is not None and codec.unknown is not None and not isinstance(codec, EncodesMany):
        found = codec.encode(new).reshape(-1)
        assert (found == codec.unknown).all(), f"{about}: {new!r}, which it never saw, is {found}"
        assert codec.unknown == IGNORED or 0 <= codec.unknown < codec.size, f"{about}: unknown is {codec.unknown}"
    for wrong in (-1, codec.size):
        _refused(about, f"number {wrong}", DataError, codec.pieces, [wrong])


def _came_back(again: Any, value: Any) -> bool:
    if isinstance(again, str) and not isinstance(value, str):
        return again.split() == value or [*again] == value
    if isinstance(again, str):
        return again.split() == value.split()
    if isinstance(again, list):
        return bool(again == value)
    return np.shape(again) == np.shape(value) and bool(np.allclose(again, value, rtol=1e-6, atol=1e-6))


def _refused(kind: str, what: str, error: type[Exception], call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except error as refusal:
        assert len(str(refusal)) > 20, f"{kind}: {what} is refused without a word"
    else:
        raise AssertionError(f"{kind}: {what} is not refused")
