"""What the weights of a new layer are, where a paper says so, and the language that says it."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from recurra.equations import show
from recurra.equations.language import Expression, cell, sigmoid, tanh, unit
from recurra.equations.parse import parse
from recurra.equations.starts import Drawn, log_uniform, normal, read_starts, uniform, write_starts
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find, names

E = Expression


def layer_of(name: str, hidden: int = 400) -> Recurrent:
    torch.manual_seed(3)
    return Recurrent(name, 7, hidden, 2, bidirectional=True)


def test_janet_starts_to_remember_for_as_many_steps_as_its_sequences_have() -> None:
    """b_f = log U(1, T − 1), T = 784; the candidate's bias and the second bias are 0."""
    for name, parameter in layer_of("janet").named_parameters():
        if name.startswith("bias_ih"):
            forget, candidate = parameter.split(400)
            steps = forget.exp()
            assert 1 <= steps.min() < 20 and 764 < steps.max() <= 783.01
            assert abs(float(steps.detach().mean()) - 392) < 40
            assert not candidate.any()
        elif name.startswith("bias_hh"):
            assert not parameter.any()
        else:
            assert 0.045 < parameter.abs().max() <= 0.05  # 1 / √400


def test_irnn_reads_little_of_its_input_at_first() -> None:
    for name, parameter in layer_of("irnn").named_parameters():
        if name.startswith("weight_ih"):
            assert abs(float(parameter.detach().std()) / 0.001 - 1) < 0.1


def test_the_highway_networks_transform_gates_start_nearly_shut() -> None:
    for name, parameter in layer_of("rhn").named_parameters():
        if name.startswith("bias"):
            plain, transform = parameter.split(400)
            assert bool((transform == (-2 if name.startswith("bias_ih") else 0)).all())
            assert 0.045 < plain.abs().max() <= 0.05
        elif name.startswith("shift_t"):
            assert bool((parameter == -2).all())


def test_fast_grnn_starts_with_biases_of_one() -> None:
    starts = {n: p.unique().tolist() for n, p in layer_of("fast-grnn").named_parameters() if "weight" not in n}
    for name, values in starts.items():
        kind = name.partition("_l")[0]
        assert values == [{"shift_z": 1.0, "shift_n": 1.0, "zeta": 1.0, "nu": -4.0}[kind]], name


@pytest.mark.parametrize("kind", [lambda n: Recurrent(n, 4, 4, device="meta"), lambda n: Recurrent(n, 4, 4).bfloat16()])
@pytest.mark.parametrize("name", ["janet", "irnn", "rhn", "fast-grnn", "lstm"])
def test_starts_in_other_places_and_types(name: str, kind: object) -> None:
    layer = kind(name)  # type: ignore[operator]
    layer.reset_parameters()
    assert all(p.is_meta or bool(p.isfinite().all()) for p in layer.parameters())


def test_all_that_is_said_is_of_weights_that_are_there() -> None:
    """A start of a registered cell is read, and written and read again it is the same."""
    said = [name for name in names("cell") if find("cell", name).start]
    assert {"irnn", "janet", "rhn"} <= set(said)
    for name in said:
        line = write_starts(find("cell", name).start)
        assert read_starts(line) == find("cell", name).start
        assert f"start: {line}" in show.text(find("cell", name))


def test_text_says_the_same_as_python() -> None:
    @cell(
        gates="f n",
        state="h",
        source="test",
        start={
            "weight_hh": {"f": uniform(2, 3), "n": "identity"},
            "weight_ih": normal(5, 0.001),
            "bias_ih": {"f": log_uniform(1, 783)},
            "bias_hh": 0.0,
        },
    )
    def written(f: E, n: E, h: E) -> E:
        f = sigmoid(f)
        return f * h + (1 - f) * tanh(n + unit("p", normal(-7, 0.001)))

    text = parse(
        "start: weight_hh.f = uniform(2, 3); weight_hh.n = identity; weight_ih = normal(5, 1e-3); "
        "bias_ih.f = log_uniform(1, 783); bias_hh = 0\n"
        'f = sigmoid(f)\nh = f * h + (1 - f) * tanh(n.input + n.recurrent + unit("p", normal(-7, 0.001)))\n'
    )
    assert text.start == written.start
    assert pickle.loads(pickle.dumps(text)).start == written.start
    layers = []
    for one in (written, text):
        torch.manual_seed(8)
        layers.append(Recurrent(one, 3, 4).state_dict())
    for name, values in layers[0].items():
        assert torch.equal(values, layers[1][name]), name
    assert bool((layers[0]["weight_hh_l0"][:4] >= 2).all()) and torch.equal(layers[0]["weight_hh_l0"][4:], torch.eye(4))
    assert bool((layers[0]["p_l0"] + 7).abs().max() < 0.01)
    assert layers[0]["bias_ih_l0"][4:].abs().max() <= 0.5


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("start: weight_hh = one\nh = tanh(s)", "1:1: start: 'one' is no start. Expected a number, identity"),
        ("start: weight_hh = normal(0, -1)\nh = tanh(s)", r"normal\(0, -1\): expected a deviation of 0 or more"),
        ("start: weight_hh = uniform(1, 0)\nh = tanh(s)", r"uniform\(1, 0\): expected a first bound"),
        ("start: bias_ih = log_uniform(0, 2)\nh = tanh(s)", r"log_uniform\(0, 2\): expected bounds above 0"),
        ("start: weight_hh = norml(0, 1)\nh = tanh(s)", "unknown distribution 'norml': did you mean 'normal'"),
        ("start: bias_ih = 1e999\nh = tanh(s)", "'1e999' is no start"),
        ("start: bias_ih\nh = tanh(s)", "'bias_ih' is no start. Expected weight = start or weight.gate = start"),
        ("start: bias_ih = 1; bias_ih.s = 2\nh = tanh(s)", "second start of the same weight"),
        ("start: bias_ih.s = 1; bias_ih = 2\nh = tanh(s)", "second start of the same weight"),
        ('h = tanh(s + unit("p", normal(0)))', r"1:24: 'normal\(0\)' is no start"),
        ('h = tanh(s + unit("p", s))', "a first value is a plain number"),
        ("h = tanh(s + normal(0, 1))", "unknown function 'normal'"),
        ("start: bias_ih.q = 1\nh = tanh(s)", "the rows of gate 'q' in 'bias_ih' start. Its gates there: s"),
        ("start: bias_hi = 1\nh = tanh(s)", "says how 'bias_hi' starts: did you mean 'bias_"),
    ],
)
def test_what_is_no_start_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Recurrent(parse(text), 3, 4)


@pytest.mark.parametrize("numbers", [(0.0, math.inf), (math.nan, 1.0)])
def test_numbers_of_a_distribution_are_finite(numbers: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="expected a deviation"):
        Drawn("normal", *numbers)


def test_the_papers_multiplicative_lstm_squashes_behind_the_gate() -> None:
    """Apart from that it is the other: same weights, and the same where tanh is the identity, near 0."""
    torch.manual_seed(1)
    paper, common = (
        Recurrent(n, 3, 4, dtype=torch.float64) for n in ("multiplicative-lstm-2016", "multiplicative-lstm")
    )
    common.load_state_dict(paper.state_dict())
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    far = (paper(x)[0] - common(x)[0]).abs().max()
    assert far > 1e-3
    with torch.no_grad():
        for layer in (paper, common):
            layer.bias_ih_l0[12:16] = 0.0  # the candidate's
            layer.weight_ih_l0[12:16] *= 1e-3
            layer.weight_mixed_l0[8:12] *= 1e-3
            layer.bias_hh_l0.zero_()
    assert (paper(x)[0] - common(x)[0]).abs().max() < 1e-6 * 4
