"""Everything that takes lengths refuses those that are not one whole number from 0 to T for each sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from recurra.errors import ConfigError
from recurra.nn import GRU, LSTM, Recurrent
from recurra.nn.activations import mean_square, mean_square_change
from recurra.nn.attention import Attention
from recurra.nn.bridge import summary
from recurra.nn.crf import CRF
from recurra.nn.decoder import RecurrentDecoder, Source
from recurra.nn.layers import Layers
from recurra.nn.memory import Memory, find_segments
from recurra.nn.pooling import Pooling
from recurra.nn.spelling import ConvolutionSpelling, RecurrentSpelling
from recurra.nn.transformer_decoder import TransformerDecoder
from recurra.registry import find, names
from recurra.types import Lengths, Sizes

T, B, H = 5, 4, 6

WRONG = {
    "too few": torch.tensor([5, 2, 3]),
    "too many": torch.tensor([5, 2, 3, 1, 1]),
    "a number": torch.tensor(3),
    "a column": torch.tensor([[5], [2], [3], [1]]),
    "floats": torch.tensor([4.9, 2.0, 3.0, 1.0]),
    "truth values": torch.ones(4, dtype=torch.bool),
    "too long": torch.tensor([5, 2, 6, 1]),
    "negative": torch.tensor([5, -1, 3, 1]),
}


def core(name: str) -> Callable[[Tensor], Any]:
    made = find("core", name)().build(Sizes(embedding=H))
    x = torch.randn(B, T, H)
    return lambda lengths: made(x, Lengths(lengths))


def recurrent(cell: str, backend: str) -> Callable[[Tensor], Any]:
    layer, x = Recurrent(cell, H, H, backend=backend), torch.randn(T, B, H)
    return lambda lengths: layer(x, None, lengths)


def pooling(kind: Any) -> Callable[[Tensor], Any]:
    made, y = Pooling(kind, H), torch.randn(B, T, H)
    return lambda lengths: made(y, lengths)


def crf(method: str) -> Callable[[Tensor], Any]:
    made, emissions = CRF(3), torch.randn(T, B, 3)
    tags = (torch.zeros(T, B, dtype=torch.int64),) if method == "forward" else ()
    return lambda lengths: getattr(made, method)(emissions, *tags, lengths)


def decoder(made: Any) -> Callable[[Tensor], Any]:
    made, y = made.build(H, H), torch.randn(B, T, H)
    return lambda lengths: made.start(Source(y, lengths, None))


def spelling(made: Any) -> Callable[[Tensor], Any]:
    made, spellings = made.build(Sizes(fields={"characters": 9})), torch.randint(0, 9, (B, T))
    return lambda lengths: made(spellings, lengths)


TAKERS: dict[str, Callable[[], Callable[[Tensor], Any]]] = {
    **{f"core {name}": lambda name=name: core(name) for name in names("core")},
    **{f"lstm {b}": lambda b=b: recurrent("lstm", b) for b in ("auto", "reference", "torch", "native", "aten")},
    **{f"peephole {b}": lambda b=b: recurrent("peephole-lstm", b) for b in ("auto", "reference", "torch", "native")},
    **{f"pooling {kind}": lambda kind=kind: pooling(kind) for kind in ("last", "mean", "max", "attention")},
    **{f"crf {m}": lambda m=m: crf(m) for m in ("forward", "log_partition", "marginals", "viterbi")},
    "decoder, attention": lambda: decoder(RecurrentDecoder(Layers(hidden_size=H))),
    "decoder, initial": lambda: decoder(RecurrentDecoder(Layers(hidden_size=H), context="initial")),
    "decoder, every step": lambda: decoder(RecurrentDecoder(Layers(hidden_size=H), context="every-step")),
    "decoder, transformer": lambda: decoder(TransformerDecoder(hidden_size=8)),
    "attention": lambda: lambda lengths: Attention("general", H, H, H).remember(torch.randn(B, T, H), lengths),
    "summary": lambda: lambda lengths: summary(Source(torch.randn(B, T, H), lengths)),
    "spelling, convolution": lambda: spelling(ConvolutionSpelling()),
    "spelling, recurrent": lambda: spelling(RecurrentSpelling()),
    "memory": lambda: lambda lengths: Memory(H)(torch.randn(B, T, H), torch.randn(B, H), lengths),
    "memory weights": lambda: lambda lengths: Memory(H).weights(torch.randn(B, T, H), torch.randn(B, H), lengths),
    "segments": lambda: lambda lengths: find_segments(torch.randint(0, 3, (B, T)), lengths),
    "mean square": lambda: lambda lengths: mean_square(torch.randn(T, B, H), lengths),
    "mean square change": lambda: lambda lengths: mean_square_change(torch.randn(T, B, H), lengths),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_lengths_that_do_not_fit_are_refused(taker: str) -> None:
    call = TAKERS[taker]()
    call(torch.tensor([5, 0, 3, 1]))
    call(torch.tensor([5, 0, 3, 1], dtype=torch.int32))
    for what, lengths in WRONG.items():
        with pytest.raises(ConfigError, match="lengths"):
            call(lengths)
            pytest.fail(f"{what}: taken")


def test_a_packed_sequence_has_its_own_lengths() -> None:
    lengths = torch.tensor([5, 2, 3, 1])
    packed = pack_padded_sequence(torch.randn(T, B, H), lengths, enforce_sorted=False)
    with pytest.raises(ConfigError, match="has lengths of its own") as raised:
        LSTM(H, H)(packed, None, lengths)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("backend", ["auto", "reference", "torch", "native", "aten"])
def test_a_packed_sequence_that_does_not_fit_is_refused(backend: str) -> None:
    layer = GRU(H, H, backend=backend)
    rows, sizes = torch.randn(11, H), torch.tensor([4, 3, 2, 1, 1])
    layer(PackedSequence(rows, sizes))
    wrong: list[tuple[PackedSequence, type[Exception], str]] = [
        (PackedSequence(torch.randn(11, H - 2), sizes), RuntimeError, r"rows \(11, 4\), expected \[N, 6\]"),
        (PackedSequence(torch.randn(11, H + 2), sizes), RuntimeError, r"rows \(11, 8\), expected \[N, 6\]"),
        (PackedSequence(torch.randn(11), sizes), RuntimeError, r"rows \(11,\), expected"),
        (
            PackedSequence(rows.double(), sizes),
            ValueError,
            "input dtype torch.float64 does not match weight dtype torch.float32",
        ),
        (PackedSequence(rows.to("meta"), sizes), RuntimeError, "is on meta, the layer's weights are on cpu"),
        (PackedSequence(rows[:10], sizes), ValueError, "10 rows with batch_sizes"),
        (PackedSequence(rows, torch.tensor([3, 4, 2, 1, 1])), ValueError, "never grow"),
        (PackedSequence(rows, torch.tensor([4, 4, 3, 0])), ValueError, "never grow"),
        (PackedSequence(rows, sizes, torch.tensor([1, 0])), RuntimeError, "sorted_indices of shape"),
    ]
    for packed, error, sentence in wrong:
        with pytest.raises(ConfigError, match=sentence) as raised:
            layer(packed)
        assert isinstance(raised.value, error)


@pytest.mark.parametrize("backend", ["auto", "reference", "torch", "native", "aten"])
def test_input_and_states_of_another_type_or_device_are_refused(backend: str) -> None:
    layer, x, state = LSTM(H, H, backend=backend), torch.randn(T, B, H), torch.randn(1, B, H)
    with pytest.raises(
        ValueError, match=r"input dtype torch.float64 does not match weight dtype torch.float32. Convert input"
    ):
        layer(x.double())
    with pytest.raises(ValueError, match=r"input dtype torch.int64 does not"):
        layer(x.long())
    with pytest.raises(RuntimeError, match=r"input is on meta, the layer's weights are on cpu"):
        layer(x.to("meta"))
    with pytest.raises(TypeError, match=r"input is a ndarray, expected a tensor"):
        layer(x.numpy())
    with pytest.raises(ValueError, match=r"state c dtype torch.float64 does not match"):
        layer(x, (state, state.double()))
    with pytest.raises(RuntimeError, match=r"state h is on meta"):
        layer(x, (state.to("meta"), state))
    with torch.autocast("cpu", torch.bfloat16):
        if backend != "native":
            layer(x.bfloat16(), (state, state.bfloat16()))
        with pytest.raises(ValueError, match=r"input dtype torch.float64"):
            layer(x.double())
