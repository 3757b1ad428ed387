"""Gates of a text: exact values, saturation, time constants, units that track something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recurra import registry
from recurra.diagnostics import gates, units_that_track
from recurra.diagnostics.gates import Series, geometric, observed, time_constants
from recurra.diagnostics.properties import inside_quotes, nesting, position_in_line
from recurra.errors import ConfigError, DataError, UnknownName
from recurra.model import Model
from recurra.testing.cells import Configuration, make_case

from .conftest import SENTENCES, TEXT

Made = Callable[..., Model]


def test_gates_of_an_lstm_by_hand(made: Made) -> None:
    model = made()
    found, layers = gates(model, TEXT), model.core.layers
    ids = torch.from_numpy(model.codecs["input"].encode(TEXT))
    with torch.no_grad():
        x = F.embedding(ids, model.embedder.weight)
        y, _ = layers(x[:, None].transpose(0, 1))
        h = c = torch.zeros(6)
        for t, row in enumerate(x):
            a = layers.weight_ih_l0 @ row + layers.bias_ih_l0 + layers.weight_hh_l0 @ h + layers.bias_hh_l0
            i, f, g, o = a.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            for name, value in {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid(), "c": c}.items():
                assert np.allclose(found.find(name).values[t], value, atol=1e-6), (name, t)
    assert np.allclose(found.find("h", layer=2).values, y[0], atol=1e-6)
    forget = found.find("f")
    assert forget.mean == pytest.approx(forget.values.mean())
    assert (found.find("g").shut, found.find("g").open) == (None, None)


def test_saturation_and_time_constants(made: Made) -> None:
    """A forget gate with a bias of 9 is open, an input gate with one of −9 shut; f = 0.5 halves at every step."""
    model = made()
    with torch.no_grad():
        for name, weights in model.core.layers.named_parameters():
            weights.zero_()
            if name == "bias_ih_l0":
                weights[:6], weights[6:12] = -9, 9
    found = gates(model, TEXT)
    shares = {(one.layer, one.name): (one.shut, one.open) for one in found.gates}
    assert shares[1, "i"] == (1, 0) and shares[1, "f"] == (0, 1) and shares[1, "o"] == (0, 0)
    first, second = found.kept
    assert first.time_constants == pytest.approx(np.full(6, -1 / np.log(1 / (1 + np.exp(-9)))), rel=1e-3)
    assert second.time_constants == pytest.approx(np.full(6, 1 / np.log(2)))
    assert time_constants(np.array([0.0, 1.0, 0.5])).tolist() == [0, np.inf, pytest.approx(1 / np.log(2))]


def test_what_is_left_is_a_product(made: Made) -> None:
    """A unit that is cleared now and then keeps little, however open its gate is on average."""
    model = made()
    found = gates(model, TEXT)
    forget = found.find("f").values.astype(np.float64)
    assert forget.std() > 0
    assert found.kept[0].share == pytest.approx(np.prod(forget, 0) ** (1 / len(forget)), rel=1e-5)
    assert geometric(np.array([[0.9, 1.0], [0.1, 0.0]], np.float32)) == pytest.approx([0.3, 0.0])


@pytest.mark.parametrize("cell", registry.names("cell"))
def test_every_cell_shows_its_gates(cell: str) -> None:
    """Both directions of two layers; what is kept is ∂new/∂old with the activations held, by differences."""
    case = make_case(registry.find("cell", cell), Configuration("gates", layers=2, bidirectional=True, batch=1))
    trace: list[Any] = []
    with torch.no_grad():
        y, _ = case.layer(case.x, trace=trace, **case.given)
    found = observed(tuple("abcdefg"), trace)
    assert {(one.layer, one.direction) for one in found.states} == {
        (layer, way) for layer in (1, 2) for way in ("forwards", "backwards")
    }
    for one in found.gates:
        low, high = one.values.min(), one.values.max()
        assert one.values.shape[0] == 7 and np.isfinite(one.values).all(), one.name
        assert low < high or one.function == "relu", one.name  # which shuts all of them where rates begin at 0
        if one.function == "sigmoid":
            assert low > 0 and high < 1
    top = [found.find(case.layer.cell.state[0], 2, way).values for way in ("forwards", "backwards")]
    joined = top[0] + top[1] if case.layer.merge == "sum" else np.concatenate(top, 1)
    assert np.allclose(joined, y[:, 0], atol=1e-6)
    for one in found.kept:
        assert one.share.shape == (case.layer.hidden_size,)


def test_backward_direction_stands_in_the_texts_order(made: Made) -> None:
    found, model = gates(made("fill"), SENTENCES[1]), made("fill")
    reading = torch.from_numpy(model.codecs["input"].encode(SENTENCES[1]))
    with torch.no_grad():
        x = F.embedding(reading, model.embedder.weight)[:, None]
        z, _ = model.core.backwards(x.flip(0))
    assert np.allclose(found.find("h", 2, "backwards").values, z[:, 0].flip(0), atol=1e-6)


def test_json_has_the_summary_alone(made: Made) -> None:
    found = gates(made("tag"), SENTENCES[0]).as_json()
    assert found["tokens"] == SENTENCES[0]
    assert found["gates"][0]["name"] == "i" and "values" not in found["gates"][0]
    assert len(found["kept"][0]["time_constants"]) == 6


def test_what_has_no_gates_says_so(made: Made) -> None:
    core = {"kind": "transformer", "hidden_size": 8, "heads": 2, "causal": True}
    with pytest.raises(ConfigError, match="this core has no gates: its layers are not recurrent"):
        gates(made(core=core), TEXT)
    with pytest.raises(ConfigError, match=r"no 'forget' in layer 1, forwards\. There are i, f, g, o"):
        gates(made(), TEXT).find("forget")


def test_properties_of_a_text() -> None:
    tokens = list('a"b(c)"\n')
    assert inside_quotes(tokens).tolist() == [0, 1, 1, 1, 1, 1, 0, 0]
    assert nesting(tokens).tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert position_in_line(tokens).tolist() == [1, 2, 3, 4, 5, 6, 7, 0]
    assert inside_quotes(["“so", "‘it’", "is”", "don't", "「好」吗"]).tolist() == [1, 1, 0, 0, 0]
    assert nesting([")", "((", "【", "】)"]).tolist() == [0, 2, 3, 1]


def test_the_unit_that_tracks_is_found(made: Made) -> None:
    seen = gates(made(), TEXT)
    planted = Series(2, "forwards", "h", seen.states[-1].values.copy())
    planted.values[:, 3] = -0.2 * inside_quotes(seen.tokens) + 0.1
    (best, second) = units_that_track(
        type(seen)(seen.tokens, seen.gates, (*seen.states, planted), ()), "quotes", count=2
    )
    assert (best.layer, best.state, best.unit) == (2, "h", 3)
    assert best.r == pytest.approx(-1, abs=1e-6)
    assert abs(second.r) <= abs(best.r)
    assert best.as_json()["values"][0] == pytest.approx(0.1)


def test_correlation_is_pearsons(made: Made) -> None:
    seen = gates(made(), TEXT)
    (best,) = units_that_track(seen, "line", count=1, state="c")
    assert best.state == "c"
    assert best.r == pytest.approx(np.corrcoef(best.values, position_in_line(seen.tokens))[0, 1], rel=1e-5)
    own = units_that_track(seen, np.arange(len(seen.tokens)), count=3)
    assert len(own) == 3


def test_what_cannot_be_tracked(made: Made) -> None:
    seen = gates(made(), "He said so")
    with pytest.raises(DataError, match="the property 'quotes' is the same at every token"):
        units_that_track(seen, "quotes")
    with pytest.raises(UnknownName, match=r"unknown property 'quote'.*did you mean 'quotes'"):
        units_that_track(seen, "quote")
    with pytest.raises(DataError, match="one for each of 10 tokens"):
        units_that_track(seen, [1.0, 2.0])
