"""Spellings against plain loops, one word at a time; padding, empty words, gradients, what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra import registry
from recurra.errors import ConfigError
from recurra.nn.spelling import ConvolutionSpelling, RecurrentSpelling
from recurra.types import Sizes

KINDS = registry.names("spelling")
LENGTHS = torch.tensor((4, 1, 6, 0, 2))


def made(characters: int = 9, **settings: Any) -> Any:
    spelling = registry.construct("spelling", {"kind": "convolution", **settings})
    return spelling.build(Sizes(fields={"characters": characters})).double()


def words(characters: int = 9) -> Tensor:
    return torch.randint(characters, (5, 6))


@pytest.mark.parametrize("characters", [9, 500])  # fewer symbols than places, and more
@pytest.mark.parametrize("width", [1, 2, 3, 4, 9])
def test_convolution_is_torchs(characters: int, width: int) -> None:
    spelling: ConvolutionSpelling = made(characters, size=4, filters=7, width=width)
    spelt = words(characters)
    found = spelling(spelt, LENGTHS)
    assert found.shape == (5, spelling.output_size) == (5, 7)
    for u, n in enumerate(LENGTHS.tolist()):
        if n == 0:
            assert not found[u].any()
            continue
        x = F.pad(spelling.characters[spelt[u, :n]].t(), ((width - 1) // 2, width // 2))[None]
        expected = F.conv1d(x, spelling.weight.permute(2, 0, 1), spelling.bias)[0].amax(1)
        assert torch.allclose(found[u], expected, atol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_reads_each_word_from_both_ends(cell: str) -> None:
    spelling: RecurrentSpelling = made(kind="recurrent", size=4, hidden_size=3, cell=cell)
    spelt = words()
    found = spelling(spelt, LENGTHS)
    assert found.shape == (5, spelling.output_size) == (5, 6)
    for u, n in enumerate(LENGTHS.tolist()):
        if n == 0:
            assert not found[u].any()
            continue
        y, _ = spelling.layer(spelling.characters[spelt[u, :n]][:, None])
        assert torch.allclose(found[u], torch.cat((y[-1, 0, :3], y[0, 0, 3:])), atol=1e-12)


@pytest.mark.parametrize("characters", [9, 500])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_behind_a_words_end_is_read_and_gradients_are_right(kind: str, characters: int) -> None:
    spelling, spelt = made(characters, kind=kind), words(characters)
    other = spelt.clone()
    for u, n in enumerate(LENGTHS.tolist()):
        other[u, n:] = (other[u, n:] + 1) % characters
    assert torch.equal(spelling(spelt, LENGTHS), spelling(other, LENGTHS))
    weigh = torch.randn(5, spelling.output_size, dtype=torch.float64)
    (spelling(spelt, LENGTHS) * weigh).sum().backward()
    for name, parameter in spelling.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
        place = tuple(parameter.grad.abs().flatten().argmax().reshape(1).tolist())
        with torch.no_grad():
            values = []
            for step in (1e-6, -1e-6):
                parameter.flatten()[place] += step  # a view: parameters are contiguous
                values.append(float((spelling(spelt, LENGTHS) * weigh).sum()))
                parameter.flatten()[place] -= step
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float(parameter.grad.flatten()[place]), rel=1e-5), name


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_and_no_characters(kind: str) -> None:
    spelling = made(kind=kind)
    for U, C in ((0, 4), (3, 0), (0, 0)):
        found = spelling(torch.zeros(U, C, dtype=torch.int64), torch.zeros(U, dtype=torch.int64))
        assert found.shape == (U, spelling.output_size) and not found.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, r"embedder.spelling.size = 0, expected 1 or more"),
        ({"filters": 0}, r"embedder.spelling.filters = 0, expected 1 or more"),
        ({"width": 0}, r"embedder.spelling.width = 0, expected 1 or more"),
        ({"kind": "recurrent", "size": 0}, r"embedder.spelling.size = 0, expected 1 or more"),
        ({"kind": "recurrent", "hidden_size": 0}, r"embedder.spelling.hidden_size = 0, expected 1 or more"),
        ({"kind": "recurrent", "cell": "lst"}, r"unknown cell 'lst': did you mean 'lstm'"),
        ({"widht": 3}, r"unknown key spelling.widht: did you mean 'width'"),
    ],
)
def test_impossible_settings_are_refused_before_data_are_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.construct("spelling", {"kind": "convolution", **settings})


@pytest.mark.parametrize("kind", KINDS)
def test_data_without_characters_are_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"sizes.fields\[\"characters\"\], but the data name none"):
        registry.construct("spelling", {"kind": kind}).build(Sizes(vocabulary=5))
