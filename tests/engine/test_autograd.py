"""What autograd may ask of a layer besides one backward: checkpoints, many gradients at once, a second backward."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.engine.native import build
from recurra.nn import Recurrent

CELLS = ("lstm", "gru", "rnn-tanh", "peephole-lstm")
ENGINES = ("auto", "native", "torch", "reference", "aten")
CASES = [
    (cell, engine)
    for cell in CELLS
    for engine in ENGINES
    if not (engine == "aten" and cell == "peephole-lstm") and not (engine == "native" and build.no_compiler())
]
each = pytest.mark.parametrize(("cell", "engine"), CASES)


def made(cell: str, engine: str, **options: Any) -> tuple[Recurrent, Tensor]:
    torch.manual_seed(0)
    layer = Recurrent(cell, 4, 5, backend=engine, dtype=torch.float64, **options)
    return layer, torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)


def gradients(layer: Recurrent, x: Tensor, y: Tensor) -> list[Tensor]:
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return list(torch.autograd.grad((y * weight).sum(), [x, *layer.parameters()]))


@each
@pytest.mark.parametrize("lengths", [None, (4, 6, 1)])
def test_a_checkpoint_gives_the_same_gradients(cell: str, engine: str, lengths: tuple[int, ...] | None) -> None:
    layer, x = made(cell, engine, num_layers=2)
    bound = None if lengths is None else torch.tensor(lengths)
    expected = gradients(layer, x, layer(x, None, bound)[0])
    for reentrant in (False, True):
        y = checkpoint(lambda v: layer(v, None, bound)[0], x, use_reentrant=reentrant)
        if reentrant:  # which knows no torch.autograd.grad
            y.sum().backward()
            assert x.grad is not None
            continue
        for found, oracle in zip(gradients(layer, x, y), expected, strict=True):
            torch.testing.assert_close(found, oracle, rtol=1e-12, atol=1e-12)


@each
def test_many_gradients_at_once(cell: str, engine: str) -> None:
    layer, x = made(cell, engine)
    y = layer(x)[0]
    leaves = [x, *layer.parameters()]
    arriving = torch.randn(3, *y.shape, dtype=y.dtype)
    several = torch.autograd.grad(y, leaves, arriving, is_grads_batched=True, retain_graph=True)
    for k, one in enumerate(arriving):
        for many, alone in zip(several, torch.autograd.grad(y, leaves, one, retain_graph=True), strict=True):
            torch.testing.assert_close(many[k], alone, rtol=1e-10, atol=1e-12)


@each
def test_a_vectorised_jacobian(cell: str, engine: str) -> None:
    layer, x = made(cell, engine)

    def last(v: Tensor) -> Tensor:
        return layer(v)[0][-1]

    found, expected = (torch.autograd.functional.jacobian(last, x.detach(), vectorize=v) for v in (True, False))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@each
def test_a_second_backward_needs_the_graph_retained(cell: str, engine: str) -> None:
    layer, x = made(cell, engine)
    loss = layer(x)[0].sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in (x, *layer.parameters()) if p.grad is not None]
    loss.backward()
    for p, g in zip((x, *layer.parameters()), first, strict=True):
        torch.testing.assert_close(p.grad, 2 * g)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


class Box:
    """A tensor that is saved for a backward."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()


@each
def test_a_loss_that_is_kept_keeps_no_tensors(cell: str, engine: str) -> None:
    """What was saved for the backward is let go by it, though the loss is still there."""
    layer, x = made(cell, engine)
    saved: weakref.WeakSet[Box] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Box:
        box = Box(tensor)
        saved.add(box)
        return box

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        loss = layer(x)[0].sum()
    assert len(saved)
    loss.backward()
    gc.collect()
    assert loss.grad_fn is not None and not len(saved)


@each
def test_what_was_read_may_not_be_changed_before_the_backward(cell: str, engine: str) -> None:
    layer, x = made(cell, engine)
    given = x * 1
    loss = layer(given)[0].sum()
    with torch.no_grad():
        given.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
