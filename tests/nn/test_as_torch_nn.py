"""The edges of torch.nn's LSTM, GRU and RNN: what they take, refuse, warn of and show, each asked of both sides."""

from __future__ import annotations

import copy
import inspect
import io
import itertools
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, parametrizations, prune, skip_init, vector_to_parameters
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra.nn
from recurra.errors import RecurraError
from recurra.testing.cells import relative

NAMES = ["LSTM", "GRU", "RNN"]

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


def both(name: str, *sizes: Any, **options: Any) -> tuple[Any, Any]:
    """Our layer and torch's, with the same weights."""
    ours, peer = (getattr(library, name)(*sizes, **options) for library in (recurra.nn, nn))
    ours.load_state_dict(peer.state_dict())
    return ours, peer


def tensors(found: Any) -> Iterator[Tensor]:
    """All tensors of an output, packed rows too."""
    match found:
        case PackedSequence():
            yield found.data
        case Tensor():
            yield found
        case _:
            yield from (tensor for part in found for tensor in tensors(part))


def states_of(name: str, *shape: int, proj_size: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    h = torch.randn(*shape[:-1], proj_size or shape[-1], dtype=dtype)
    return (h, torch.randn(*shape, dtype=dtype)) if name == "LSTM" else h


def forms() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of the options, as torch's own tests of its modules go through them."""
    for bias, batch_first, bidirectional in itertools.product([False, True], repeat=3):
        common = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "num_layers": 2}
        yield "GRU", common
        yield from (("LSTM", common | {"proj_size": size}) for size in (0, 2))
        yield from (("RNN", common | {"nonlinearity": kind}) for kind in ("tanh", "relu"))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("what", ["steps", "steps and states", "batch", "batch and states", "packed", "ragged"])
@pytest.mark.parametrize("name, options", list(forms()))
def test_every_combination_equals_torch_nn(name: str, options: dict[str, Any], what: str, training: bool) -> None:
    torch.manual_seed(4)
    ours, peer = both(name, 2, 3, dtype=torch.float64, **options)
    ours.train(training)
    peer.train(training)
    first, count = options["batch_first"], 4 if options["bidirectional"] else 2
    proj_size = options.get("proj_size", 0)
    found = []
    x, hx = torch.randn(5, 2, dtype=torch.float64), None
    if "steps" not in what:
        x = torch.randn((3, 5, 2) if first else (5, 3, 2), dtype=torch.float64)
    if "states" in what:
        hx = states_of(name, count, *(() if "steps" in what else (3,)), 3, proj_size=proj_size)
    for layer in (ours, peer):
        leaf = x.clone().requires_grad_()
        given: Any = leaf
        if what in ("packed", "ragged"):
            lengths = torch.tensor([5, 4, 2] if what == "packed" else [2, 5, 1])
            given = pack_padded_sequence(leaf, lengths, first, enforce_sorted=what == "packed")
        output = list(tensors(layer(input=given, hx=hx)))
        loss = sum((t * t.sin()).sum() for t in output)
        gradients = torch.autograd.grad(loss, [leaf, *layer.parameters()])  # type: ignore[arg-type]
        found.append([*output, *gradients])
    for value, oracle in zip(*found, strict=True):
        assert value.shape == oracle.shape
        assert relative(value, oracle) <= 1e-12
    assert repr(ours) == repr(peer)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_classes(name: str) -> None:
    kind = getattr(recurra.nn, name)

    class Mine(kind):  # type: ignore[misc]
        def __init__(self, width: int) -> None:
            super().__init__(width, width + 1)

    layer = Mine(3)
    assert isinstance(layer, kind) and isinstance(layer, recurra.nn.Recurrent) and issubclass(kind, nn.Module)
    assert layer(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)
    named = inspect.signature(kind).parameters
    peer = list(inspect.signature(nn.RNNBase).parameters)[1:]  # without `mode`
    wanted = [n for n in peer if n != "proj_size" or name == "LSTM"]
    wanted[3:3] = ["nonlinearity"] if name == "RNN" else []
    assert list(named)[: len(wanted)] == wanted
    with pytest.raises(TypeError, match="hiden_size"):
        kind(3, 4, hiden_size=5)


@pytest.mark.parametrize("name", NAMES)
def test_positional_arguments_stand_where_torch_has_them(name: str) -> None:
    positions: dict[str, list[Any]] = {
        "LSTM": [2, 3, 2, False, True, 0.25, True, 2],
        "GRU": [2, 3, 2, False, True, 0.25, True],
        "RNN": [2, 3, 2, "relu", False, True, 0.25, True],
    }
    kinds = (getattr(library, name) for library in (recurra.nn, nn))
    ours, peer = (kind(*positions[name], device="meta", dtype=torch.float64) for kind in kinds)
    assert repr(ours) == repr(peer)
    for key, value in ours.state_dict().items():
        assert value.is_meta and value.dtype == torch.float64 and value.shape == peer.state_dict()[key].shape


@pytest.mark.parametrize("name", NAMES)
def test_attributes_and_starts_are_those_of_torch_nn(name: str) -> None:
    torch.manual_seed(7)
    ours = getattr(recurra.nn, name)(2, 3, 2, bidirectional=True)
    torch.manual_seed(7)
    peer = getattr(nn, name)(2, 3, 2, bidirectional=True)
    sizes = ["input_size", "hidden_size", "num_layers", "proj_size"]
    for attribute in [*sizes, "mode", "bias", "batch_first", "dropout", "bidirectional"]:
        assert getattr(ours, attribute) == getattr(peer, attribute)
    if name == "RNN":
        assert ours.nonlinearity == peer.nonlinearity
    for mine, others in zip(ours.all_weights, peer.all_weights, strict=True):
        assert all(torch.equal(a, b) and isinstance(a, nn.Parameter) for a, b in zip(mine, others, strict=True))
    ours.flatten_parameters()
    assert list(ours.state_dict()) == list(peer.state_dict())


CONSTRUCTIONS: dict[str, Callable[[Any], Any]] = {
    "hidden_size 0": lambda kind: kind(10, 0, 1),
    "num_layers 0": lambda kind: kind(10, 10, 0),
    "input_size 0": lambda kind: kind(0, 5),
    "input_size -1": lambda kind: kind(-1, 5),
    "input_size 3.0": lambda kind: kind(3.0, 5),
    "hidden_size '5'": lambda kind: kind(3, "5"),
    "bias 1": lambda kind: kind(3, 5, bias=1),
    "batch_first 'False'": lambda kind: kind(3, 5, batch_first="False"),
    "dropout 1.1": lambda kind: kind(3, 5, 2, dropout=1.1),
    "dropout -0.1": lambda kind: kind(3, 5, 2, dropout=-0.1),
    "dropout True": lambda kind: kind(3, 5, 2, dropout=True),
    "dropout '0.5'": lambda kind: kind(3, 5, 2, dropout="0.5"),
    "proj_size 5": lambda kind: kind(3, 5, proj_size=5),
    "proj_size -1": lambda kind: kind(3, 5, proj_size=-1),
}

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "input of another width": lambda layer, hx: layer(torch.randn(6, 4, 7), hx),
    "input of another batch": lambda layer, hx: layer(torch.randn(6, 7, 3), hx),
    "input of another dtype": lambda layer, hx: layer(torch.randn(6, 4, 3, dtype=torch.float64), hx),
    "input of no steps": lambda layer, hx: layer(torch.randn(0, 4, 3), hx),
    "states without the batch": lambda layer, hx: layer(torch.randn(6, 4, 3), _each(hx, lambda s: s[:, 0])),
    "states of another width": lambda layer, hx: layer(torch.randn(6, 4, 3), _each(hx, lambda s: s[..., :2])),
    "states of another batch": lambda layer, hx: layer(torch.randn(6, 4, 3), _each(hx, lambda s: s[:, :2])),
    "states of fewer layers": lambda layer, hx: layer(torch.randn(6, 4, 3), _each(hx, lambda s: s[:1])),
    "states of a batch for input of none": lambda layer, hx: layer(torch.randn(6, 3), _each(hx, lambda s: s[:, :1])),
}


def _each(hx: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return change(hx) if isinstance(hx, Tensor) else tuple(change(s) for s in hx)


@pytest.mark.parametrize("what", CONSTRUCTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_constructions_that_torch_nn_refuses_raise_what_it_raises(name: str, what: str) -> None:
    with pytest.raises(Exception) as wanted:
        CONSTRUCTIONS[what](getattr(nn, name))
    with pytest.raises(RecurraError) as raised:
        CONSTRUCTIONS[what](getattr(recurra.nn, name))
    assert isinstance(raised.value, wanted.type)


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("name", NAMES)
def test_calls_that_torch_nn_refuses_raise_what_it_raises(name: str, what: str) -> None:
    ours, peer = both(name, 3, 5, 2)
    hx = states_of(name, 2, 4, 5, dtype=torch.float32)
    for layer in (ours, peer):
        layer(torch.randn(6, 4, 3), hx)
    with pytest.raises(Exception) as wanted:
        CALLS[what](peer, hx)
    with pytest.raises(RecurraError) as raised:
        CALLS[what](ours, hx)
    assert isinstance(raised.value, wanted.type)


def test_states_must_be_tensors() -> None:
    with pytest.raises(RuntimeError, match=r"state of 'lstm' has shapes \[\(1, 4, 5\), 'NoneType'\], expected"):
        recurra.nn.LSTM(3, 5)(torch.randn(6, 4, 3), (torch.zeros(1, 4, 5), None))


@pytest.mark.parametrize("name", ["GRU", "RNN"])
def test_projections_are_the_lstms(name: str) -> None:
    with pytest.raises(ValueError, match=r"proj_size argument is only supported for LSTM.*Recurrent\('(gru|rnn-tanh)'"):
        getattr(recurra.nn, name)(3, 5, proj_size=2)


@pytest.mark.parametrize("backend", ["auto", "reference", "torch", "native", "aten"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_no_sequences(name: str, options: dict[str, Any], backend: str) -> None:
    ours, peer = getattr(recurra.nn, name)(3, 4, backend=backend, **options), getattr(nn, name)(3, 4, **options)
    x = torch.zeros((0, 5, 3) if options else (5, 0, 3), requires_grad=True)
    y, hx = ours(x)
    assert [t.shape for t in tensors((y, hx))] == [t.shape for t in tensors(peer(x))]
    y.sum().backward()
    assert x.grad is not None and x.grad.shape == x.shape
    assert all(p.grad is not None and not p.grad.any() for p in ours.parameters())
    ours(x, hx, torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize("backend", ["auto", "reference", "torch", "native"])
@pytest.mark.parametrize("cell", ["lstm", "gru-reset-before", "layer-norm-lstm", "depth-gated-lstm"])
def test_sequences_of_no_steps_keep_their_states_and_have_gradients(cell: str, backend: str) -> None:
    layer = recurra.nn.Recurrent(cell, 3, 4, 2, bidirectional=True, backend=backend)
    hx = tuple(torch.randn(4, 2, 4, requires_grad=True) for _ in layer.cell.state)
    record: list[Any] = []
    y, final = layer(torch.randn(5, 2, 3), hx, torch.zeros(2, dtype=torch.int64), record)
    assert not y.any()
    assert all(torch.equal(a, b) for a, b in zip(tensors(final), hx, strict=True))
    (y.sum() + sum(s.sum() for s in tensors(final))).backward()
    assert all(s.grad is not None and bool((s.grad == 1).all()) for s in hx)
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())
    assert [len(r.values) for r in record] == [0] * 4


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_dropout_of_one_drops_everything(name: str, variational: bool) -> None:
    ours, peer = both(name, 3, 4, 2, dropout=1)
    ours.variational = variational
    x = torch.randn(5, 2, 3, requires_grad=True)
    for value, oracle in zip(tensors(ours(x)), tensors(peer(x)), strict=True):
        assert relative(value, oracle) <= 2e-6
    ours(x)[0].sum().backward()
    assert x.grad is not None and not x.grad.any()


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "Recurrent"])
def test_dropout_with_one_layer_is_warned_of_where_the_layer_is_made(name: str) -> None:
    sizes = ("lstm", 3, 4) if name == "Recurrent" else (3, 4)
    with pytest.warns(UserWarning, match=r"dropout = 0.5 works between layers, but num_layers = 1") as seen:
        getattr(recurra.nn, name)(*sizes, dropout=0.5)
    assert [w.filename for w in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(recurra.nn, name)(*sizes, 2, dropout=0.5)
        getattr(recurra.nn, name)(*sizes)


@pytest.mark.parametrize("name", NAMES)
def test_copies_files_and_pickles(name: str) -> None:
    layer, x = getattr(recurra.nn, name)(3, 4, 2, bidirectional=True), torch.randn(5, 2, 3)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        assert type(other) is type(layer) and other.mode == layer.mode and repr(other) == repr(layer)
        assert torch.equal(other(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", NAMES)
def test_torchs_own_tools_work_on_them(name: str) -> None:
    ours, peer = both(name, 3, 4)
    x = torch.randn(5, 2, 3)
    y = ours(x)[0]

    parametrizations.weight_norm(ours, "weight_hh_l0")
    parametrizations.weight_norm(peer, "weight_hh_l0")
    assert relative(ours(x)[0], y) <= 2e-6
    ours(x)[0].square().sum().backward()
    peer(x)[0].square().sum().backward()
    for a, b in zip(ours.parameters(), peer.parameters(), strict=True):
        assert relative(a.grad, b.grad) <= 2e-5

    made = skip_init(getattr(recurra.nn, name), 3, 4)
    vector_to_parameters(torch.full_like(parameters_to_vector(made.parameters()), 0.1), made.parameters())
    assert all(bool((p == 0.1).all()) for p in made.parameters())

    prune.l1_unstructured(made, "weight_ih_l0", amount=0.5)
    assert sum(isinstance(w, nn.Parameter) for w in made._flat_weights) == 3
    assert int((made(x)[0].isfinite()).sum()) == y.numel()
    prune.remove(made, "weight_ih_l0")
    assert sum(isinstance(w, nn.Parameter) for w in made._flat_weights) == 4
    assert int((made.weight_ih_l0 == 0).sum()) == made.weight_ih_l0.numel() // 2

    called = torch.func.functional_call(made, getattr(nn, name)(3, 4).state_dict(), (x,))
    assert not torch.allclose(called[0], made(x)[0])
    with torch.device("meta"):
        bare = getattr(recurra.nn, name)(3, 4)
    assert all(p.is_meta for p in bare.parameters())
    bare.to_empty(device="cpu").load_state_dict(made.state_dict())
    assert torch.equal(bare(x)[0], made(x)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_moves_to_other_dtypes_and_memory_formats(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    ours, peer = both(name, 4, 8)
    ours, peer, x = ours.to(dtype), peer.to(dtype), torch.randn(5, 3, 4).to(dtype)
    value, oracle = ours(x)[0], peer(x)[0]
    assert value.dtype == dtype
    assert relative(value.double(), oracle.double()) <= (1e-12 if dtype == torch.float64 else 2e-2)
    assert torch.equal(ours.to(memory_format=torch.channels_last)(x)[0], value)
    with pytest.raises(ValueError, match="does not match weight dtype"):
        ours(x.float())


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_may_be_set_anew(name: str) -> None:
    ours, peer = both(name, 3, 4)
    weight, x = nn.Parameter(torch.randn(peer.weight_hh_l0.shape)), torch.randn(5, 2, 3)
    before = ours(x)[0]
    ours.weight_hh_l0 = peer.weight_hh_l0 = weight
    assert relative(ours(x)[0], peer(x)[0]) <= 2e-6
    assert not torch.allclose(ours(x)[0], before)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_seed_drops_the_entries_it_drops_there(name: str, packed: bool) -> None:
    ours, peer = both(name, 3, 4, 2, dropout=0.5)
    x: Any = torch.randn(5, 2, 3)
    x = pack_padded_sequence(x, torch.tensor([5, 2])) if packed else x
    found = []
    for layer in (ours, peer):
        torch.manual_seed(6)
        found.append(list(tensors(layer(x))))
    for value, oracle in zip(*found, strict=True):
        assert relative(value, oracle) <= 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_what_differs_stands_in_docs_torch_nn(name: str) -> None:
    ours = getattr(recurra.nn, name)(3, 4)
    assert not isinstance(ours, getattr(nn, name)) and not isinstance(ours, nn.RNNBase)
    with pytest.raises(RuntimeError, match=r"input has shape \(5, 2, 3, 1\)"):
        ours(torch.randn(5, 2, 3, 1))
    assert ours._flat_weights is not ours._flat_weights
    for method in ("check_input", "get_expected_hidden_size", "permute_hidden", "check_forward_args"):
        assert hasattr(nn.RNNBase, method) and not hasattr(ours, method)
    with pytest.raises((RuntimeError, torch.jit.frontend.NotSupportedError)):
        torch.jit.script(ours)
