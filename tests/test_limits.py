"""How large a model may be: each limit, just below and just above, before anything is allocated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra import limits
from recurra.asking.threads import threads_set
from recurra.bench.cells import measure
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.tokens import Tokens
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.nn import LSTM, Recurrent
from recurra.nn.decoder import RecurrentDecoder
from recurra.nn.embedders import SymbolEmbedder, WordEmbedder
from recurra.nn.layers import Layers
from recurra.nn.memory_limit import MemoryLimit
from recurra.nn.spelling import ConvolutionSpelling
from recurra.nn.tdnn import Tdnn
from recurra.nn.transformer import TransformerCore
from recurra.tasks.answer import Answer
from recurra.training.settings import Training

LAYERS, SIZE = limits.MOST_LAYERS, limits.LARGEST_SIZE


@pytest.mark.parametrize(
    ("make", "name", "most"),
    [
        (lambda n: Tdnn(num_layers=n), "core.num_layers", LAYERS),
        (lambda n: Tdnn(delays=n), "core.delays", LAYERS),
        (lambda n: Tdnn(hidden_size=n), "core.hidden_size", SIZE),
        (lambda n: TransformerCore(num_layers=n), "core.num_layers", LAYERS),
        (lambda n: TransformerCore(feed_forward=n), "core.feed_forward", SIZE),
        (lambda n: RecurrentDecoder(Layers(num_layers=n)), "task.decoder.num_layers", LAYERS),
        (lambda n: RecurrentDecoder(Layers(hidden_size=n)), "task.decoder.hidden_size", SIZE),
        (lambda n: RecurrentDecoder(readout_size=n), "task.decoder.readout_size", SIZE),
        (lambda n: SymbolEmbedder(size=n), "embedder.size", SIZE),
        (lambda n: WordEmbedder(size=n), "embedder.size", SIZE),
        (lambda n: ConvolutionSpelling(filters=n), "embedder.spelling.filters", SIZE),
        (lambda n: Answer(hops=n), "task.hops", LAYERS),
        (lambda n: Training(threads=n), "training.threads", limits.most_threads()),
    ],
)
def test_settings_are_bounded_where_a_constructor_takes_them(make: Callable[[int], Any], name: str, most: int) -> None:
    make(most)
    for number in (most + 1, 10**9, 1 << 62):
        with pytest.raises(ConfigError, match=rf"^{name} = {number}, expected {most:,} at most"):
            make(number)


def test_layers_of_a_stack() -> None:
    assert Recurrent("rnn-tanh", 1, 1, num_layers=LAYERS).num_layers == LAYERS
    began = time.monotonic()
    for make in (lambda n: Recurrent("gru", 1, 1, num_layers=n), lambda n: LSTM(1, 1, n)):
        for number in (LAYERS + 1, 1_000_000):
            with pytest.raises(ConfigError, match=f"^num_layers = {number}, expected 1,000 at most"):
                make(number)
    with pytest.raises(ConfigError, match=r"^hidden_size = 1000000000, expected 16,777,216 at most"):
        Recurrent("gru", 3, 10**9)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("count", [0, limits.most_threads() + 1, 1_000_000])
def test_threads_that_would_end_the_process(count: int) -> None:
    before = torch.get_num_threads()
    said = "expected 1 or more" if count < 1 else f"expected {limits.most_threads()} at most on this machine"
    with pytest.raises(ConfigError, match=rf"^threads = {count}, {said}"), threads_set(count):
        pass
    with pytest.raises(ConfigError, match=rf"^threads = {count}, {said}"):
        next(iter(measure(["gru"], [(1, 1, 1, 1)], [count], 0.1)))
    assert torch.get_num_threads() == before


def test_as_many_threads_as_there_may_be() -> None:
    with threads_set(limits.most_threads()):
        assert torch.get_num_threads() == limits.most_threads()
        assert float(torch.ones(1 << 20).sum()) == 1 << 20


CONFIG: dict[str, Any] = {
    "embedder": {"kind": "symbols", "size": 5},
    "core": {"kind": "recurrent", "cell": "lstm", "hidden_size": 6},
    "task": {"kind": "tag", "scheme": "none"},
}


def model_of(**core: Any) -> Model:
    fields = {"input": Tokens().fit([["a", "b"]]), "tags": Labels().fit([["X", "Y"]])}
    return Model.from_config({**CONFIG, "core": {**CONFIG["core"], **core}}, fields)


def test_weights_that_do_not_fit_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 4 * 4 * (6 * (5 + 6) + 2 * 6)  # bytes: four gates, float32
    assert sum(4 * weights.numel() for weights in model_of().core.parameters()) == size
    monkeypatch.setattr(limits, "memory", lambda: size)
    assert model_of().core.output_size == 6
    monkeypatch.setattr(limits, "memory", lambda: size - 1)
    with pytest.raises(ConfigError, match=r"The largest of its settings is core\.hidden_size = 6: make it smaller\."):
        model_of()


@pytest.mark.skipif(limits.memory() is None, reason="how much memory there is cannot be found out here")
def test_a_model_larger_than_any_memory() -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError) as error:
        model_of(hidden_size=LAYERS * 10_000, num_layers=2)
    assert str(error.value).startswith("[core] takes ") and "GiB of memory. The largest of its settings is" in str(
        error.value
    )
    assert "core.hidden_size = 10000000: make it smaller." in str(error.value)
    assert time.monotonic() - began < 5


def test_everything_that_torch_makes_anew_counts() -> None:
    for make in (
        lambda: torch.empty(3, 4),
        lambda: torch.zeros((3, 4)),
        lambda: torch.ones(size=(3, 4)),
        lambda: torch.full((3, 4), 2.0),
        lambda: torch.randn(3, 2, dtype=torch.float64),
        lambda: torch.nn.Linear(4, 2, bias=False) and torch.nn.Linear(2, 2, bias=False),
    ):
        with MemoryLimit("core", {}, 48):
            make()
        with pytest.raises(ConfigError, match=r"^\[core\] takes 0\.0 GiB of weights"), MemoryLimit("core", {}, 47):
            make()


def test_the_memory_of_this_machine(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = limits.memory.__wrapped__()
    assert whole is None or whole > 1 << 28
    file = tmp_path / "memory.max"
    monkeypatch.setattr(limits, "CGROUPS", (str(file),))
    for text, expected in (("12345\n", 12345), ("max\n", None)):
        file.write_text(text)
        found = limits.memory.__wrapped__()
        assert found == expected or (expected is None and found != 12345)
