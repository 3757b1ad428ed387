"""Buffers that calls share: reused when nobody holds them, never while anybody does."""

from __future__ import annotations

import copy
import gc
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest
import torch
from torch import Tensor

from recurra.engine.native import memory
from recurra.nn import Recurrent
from recurra.testing.cells import relative

CELLS = ("lstm", "gru-reset-before", "layer-norm-lstm")
T, B, I, H = 24, 8, 20, 64
"""Every array that calls share is larger than `memory.SMALLEST`."""


@pytest.fixture(scope="module", autouse=True)
def what_others_left() -> Iterator[None]:
    """Each collection below looks at what comes from here on: all of a process that ran other files is a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    gc.collect()
    memory._held.clear()
    yield
    memory._held.clear()


def make(cell: str = "lstm", dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Recurrent, Tensor]:
    torch.manual_seed(seed)
    layer = Recurrent(cell, I, H, backend="native", dtype=dtype)
    assert T * B * H * dtype.itemsize > memory.SMALLEST // 2
    return layer, torch.randn(2 * T, B, I, dtype=dtype)


def gradients(layer: Recurrent, x: Tensor) -> list[Tensor]:
    y, _ = layer(x)
    return [y.detach().clone(), *torch.autograd.grad(y.square().sum(), [*layer.parameters()])]


def others(layer: Recurrent, x: Tensor, times: int = 5) -> None:
    """Calls in between, which take and fill whatever buffers are free."""
    for k in range(times):
        gradients(layer, x * (k + 2))
        with torch.no_grad():
            layer(x * -(k + 2))


def test_free_arrays_are_handed_out_again() -> None:
    first = memory.empty(100_000, torch.float32)
    address = first.data_ptr()
    assert first.shape == (100_000,)
    second = memory.empty(100_000, torch.float32)
    assert second.data_ptr() != address
    del first
    third = memory.empty(90_000, torch.float32)
    assert third.data_ptr() == address and third.shape == (90_000,)
    assert memory.empty(20_000, torch.float32).untyped_storage().nbytes() < 100_000  # far smaller: one of its own


def test_of_each_type_its_own() -> None:
    address = memory.empty(100_000, torch.float32).data_ptr()
    other = memory.empty(50_000, torch.float64)
    assert other.dtype == torch.float64 and other.data_ptr() != address
    assert memory.empty(100_000, torch.float32).data_ptr() == address


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[5:9].view(2, 2),
        lambda a: a.detach(),
        lambda a: a.numpy(),
        lambda a: memoryview(a.numpy()),
        lambda a: a.untyped_storage(),
        lambda a: torch.utils.dlpack.to_dlpack(a),
        lambda a: torch.from_numpy(a.numpy()),
        lambda a: a[::2].requires_grad_().clone().grad_fn,
        lambda a: a.clone().requires_grad_().mul(a).grad_fn,
    ],
    ids=["itself", "view", "detached", "numpy", "memory view", "storage", "dlpack", "there and back", "leaf", "saved"],
)
def test_whoever_holds_an_array_keeps_it(hold: Callable[[Tensor], object]) -> None:
    array = memory.empty(100_000, torch.float32)
    address = array.data_ptr()
    held = hold(array)
    del array
    assert memory.empty(100_000, torch.float32).data_ptr() != address
    del held
    assert any(memory.empty(100_000, torch.float32).data_ptr() == address for _ in range(2))


def test_what_went_to_another_process_is_not_taken_back() -> None:
    """Its memory is mapped there too, and nobody here counts that."""
    array = memory.empty(100_000, torch.float32)
    array.share_memory_()
    address = array.data_ptr()
    del array
    assert memory.empty(100_000, torch.float32).data_ptr() != address
    assert len(memory._held) == 1


def test_what_was_resized_is_not_taken_back() -> None:
    array = memory.empty(100_000, torch.float32)
    array.untyped_storage().resize_(16)
    del array
    memory.empty(100_000, torch.float32).fill_(1)


def test_arrays_nobody_asks_for_any_more_are_let_go() -> None:
    kept = [memory.empty(1_000_000, torch.float32)]
    memory.empty(4_000_000, torch.float32)
    for _ in range(memory.LASTING + 1):
        memory.empty(100_000, torch.float64)
    assert len(memory._held) == 3
    memory.empty(200_000, torch.float64)
    assert sorted(held.size for held in memory._held) == sorted(8 * (n + n // 8) for n in (100_000, 200_000))
    kept[0].fill_(1)


@pytest.mark.parametrize("cell", CELLS)
def test_training_needs_no_new_memory_after_its_first_steps(cell: str) -> None:
    layer, x = make(cell)
    optimiser = torch.optim.SGD(layer.parameters(), 1e-3)
    seen: list[frozenset[int]] = []
    for _ in range(5):
        y, _ = layer(x)
        optimiser.zero_grad()
        y.square().sum().backward()
        optimiser.step()
        seen.append(frozenset(held.array.data_ptr() for held in memory._held))
        del y
    assert seen[0] and seen[1] == seen[2] == seen[3] == seen[4]


def test_many_layers_need_no_new_memory_either() -> None:
    layer, x = Recurrent("lstm", I, H, 6, bidirectional=True, backend="native"), torch.randn(T, 16, I)
    seen: list[frozenset[int]] = []
    for _ in range(4):
        gradients(layer, x)
        seen.append(frozenset(held.array.data_ptr() for held in memory._held))
    assert seen[1] == seen[2] == seen[3]


@pytest.mark.parametrize("cell", CELLS)
def test_a_result_stays_what_it_was(cell: str) -> None:
    layer, x = make(cell)
    with torch.no_grad():
        y, state = layer(x)
    states = state if isinstance(state, tuple) else (state,)
    copies = [v.clone() for v in (y, *states)]
    others(layer, x)
    assert all(torch.equal(v, c) for v, c in zip((y, *states), copies, strict=True))


@pytest.mark.parametrize("cell", CELLS)
def test_a_graph_that_is_kept_keeps_its_arrays(cell: str) -> None:
    layer, x = make(cell)
    y, _ = layer(x)
    loss, parameters = y.square().sum(), [*layer.parameters()]
    del y
    first = torch.autograd.grad(loss, parameters, retain_graph=True)
    others(layer, x)
    second = torch.autograd.grad(loss, parameters, retain_graph=True)
    others(layer, x)
    third = torch.autograd.grad(loss, parameters)
    for a, b, c in zip(first, second, third, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_several_graphs_at_once_in_any_order(order: tuple[int, ...]) -> None:
    layer, x = make()
    parameters = [*layer.parameters()]
    alone = [gradients(layer, x * k)[1:] for k in (1, 2, 3)]
    losses = [layer(x * k)[0].square().sum() for k in (1, 2, 3)]
    for k in order:
        found = torch.autograd.grad(losses[k], parameters)
        assert all(torch.equal(f, a) for f, a in zip(found, alone[k], strict=True)), k


@pytest.mark.parametrize("cell", CELLS)
def test_second_derivatives_while_other_calls_run(cell: str) -> None:
    found = {}
    for backend in ("reference", "native"):
        layer, x = make(cell)
        layer.backend = backend
        leaf = x[:T].clone().requires_grad_()
        (slope,) = torch.autograd.grad(layer(leaf)[0].square().sum(), leaf, create_graph=True)
        others(layer, x[:T], 1)
        found[backend] = torch.autograd.grad(slope.square().sum(), [leaf, *layer.parameters()])
    for value, oracle in zip(found["native"], found["reference"], strict=True):
        assert relative(value, oracle) <= 1e-12


def test_arrays_of_inference_serve_training() -> None:
    layer, x = make()
    wanted = gradients(layer, x)
    memory._held.clear()
    with torch.inference_mode():
        y, _ = layer(x)
        assert torch.equal(y, wanted[0])
        del y
        y, _ = layer(x)
    found = gradients(layer, x)
    assert all(torch.equal(f, w) for f, w in zip(found, wanted, strict=True))
    with torch.no_grad():
        assert not layer(x)[0].requires_grad
    with torch.inference_mode():
        assert torch.equal(y, layer(x)[0])
    leaf = torch.ones((), dtype=x.dtype, requires_grad=True)
    (y * leaf).sum().backward()  # torch's own layers refuse this of what inference mode made; nothing is lost by it
    assert leaf.grad is not None and leaf.grad == y.sum()


def test_types_take_turns() -> None:
    single, x32 = make(dtype=torch.float32)
    double, x64 = make(dtype=torch.float64)
    wanted = gradients(single, x32), gradients(double, x64)
    with torch.autocast("cpu", torch.bfloat16):
        low = single(x32)[0]
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(gradients(single, x32), wanted[0], strict=True))
        assert all(torch.equal(a, b) for a, b in zip(gradients(double, x64), wanted[1], strict=True))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(single(x32)[0], low)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [None, (48, 3, 17, 0, 40, 1, 48, 22)], ids=["whole", "lengths"])
def test_threads_share_the_rows(cell: str, lengths: tuple[int, ...] | None) -> None:
    layer, x = make(cell)
    x = x.requires_grad_()
    bound = None if lengths is None else torch.tensor(lengths)
    found = {}
    before = torch.get_num_threads()
    try:
        for count in (1, 2, 3, 11):
            torch.set_num_threads(count)
            y, _ = layer(x, None, bound)
            found[count] = [y.detach().clone(), *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])]
    finally:
        torch.set_num_threads(before)
    for count in (2, 3, 11):
        for value, oracle in zip(found[count], found[1], strict=True):
            assert relative(value, oracle) <= 1e-12, count


def test_many_threads_of_python_at_once() -> None:
    """8 threads of 20 steps each, every one with weights and data of its own."""
    threads, steps = 8, 20
    cells = [CELLS[k % 3] for k in range(threads)]
    made = [make(cell, torch.float32, seed=k) for k, cell in enumerate(cells)]

    def train(k: int, out: dict[int, list[Tensor]]) -> None:
        layer, x = copy.deepcopy(made[k][0]), made[k][1]
        optimiser, history = torch.optim.SGD(layer.parameters(), 0.01), []
        for step in range(steps):
            rows = x[: T + (step * 7 + k) % T]  # lengths differ, so do the buffers
            y, _ = layer(rows)
            optimiser.zero_grad()
            y.square().mean().backward()
            optimiser.step()
            history.append(y.detach())
        out[k] = [torch.cat([y.flatten() for y in history]), *[p.detach() for p in layer.parameters()]]

    serial: dict[int, list[Tensor]] = {}
    for k in range(threads):
        train(k, serial)
    together: dict[int, list[Tensor]] = {}
    running = [threading.Thread(target=train, args=(k, together)) for k in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert sorted(together) == list(range(threads))
    for k in range(threads):
        for value, oracle in zip(together[k], serial[k], strict=True):
            assert relative(value, oracle) <= 1e-6, (k, cells[k])


def test_no_two_threads_get_the_same_array() -> None:
    taken: set[int] = set()
    twice: list[int] = []

    def take(_: int) -> None:
        for _ in range(4000):
            array = memory.empty(20_000, torch.float32)
            address = array.data_ptr()
            if address in taken:
                twice.append(address)
            taken.add(address)
            taken.discard(address)
            del array

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        running = [threading.Thread(target=take, args=(k,)) for k in range(8)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not twice


def test_one_layer_in_many_threads() -> None:
    layer, x = make()
    wanted = [gradients(layer, x * k) for k in range(8)]
    found: dict[int, list[list[Tensor]]] = {}

    def several(k: int) -> None:
        found[k] = [gradients(layer, x * k) for _ in range(5)]

    running = [threading.Thread(target=several, args=(k,)) for k in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    for k in range(8):
        for results in found[k]:
            assert all(torch.equal(f, w) for f, w in zip(results, wanted[k], strict=True)), k


@pytest.mark.parametrize("cell", CELLS)
def test_copies_and_files_of_a_layer(cell: str) -> None:
    layer, x = make(cell)
    wanted = gradients(layer, x)
    kept = io.BytesIO()
    torch.save(layer, kept)
    kept.seek(0)
    for other in (copy.deepcopy(layer), torch.load(kept, weights_only=False)):
        assert other.backend == "native"
        assert all(torch.equal(f, w) for f, w in zip(gradients(other, x), wanted, strict=True))
    with torch.no_grad():
        (y, _), kept = layer(x), io.BytesIO()
    torch.save(y, kept)
    kept.seek(0)
    assert torch.equal(torch.load(kept), wanted[0]) and torch.equal(copy.deepcopy(y), wanted[0])


FORKED = """
import os, signal, sys, threading
import torch
from recurra.engine.native import memory
from recurra.nn import Recurrent

torch.manual_seed(0)
torch.set_num_threads(THREADS)
layer, x = Recurrent("lstm", 20, 64, backend="native"), torch.randn(48, 8, 20)

def gradients():
    y, _ = layer(x)
    return [y.detach().clone(), *torch.autograd.grad(y.square().sum(), [*layer.parameters()])]

wanted = gradients()
if LOCKED:
    memory._lock.acquire()  # as if another thread were just then in it
child = os.fork()
if not child:
    signal.alarm(20)
    found = gradients()
    os._exit(0 if all(torch.allclose(f, w, atol=1e-6) for f, w in zip(found, wanted)) else 3)
_, status = os.waitpid(child, 0)
print(status)
if LOCKED:
    memory._lock.release()
assert all(torch.allclose(f, w, atol=1e-6) for f, w in zip(gradients(), wanted))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("locked", [False, True])
def test_a_forked_process_goes_on(python, locked: bool) -> None:
    done = python(FORKED.replace("THREADS", "1").replace("LOCKED", str(locked)))
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


LOADED = """
import torch
from torch.utils.data import DataLoader, Dataset
from recurra.engine.native import memory
from recurra.nn import Recurrent

torch.manual_seed(0)
layer = Recurrent("lstm", 20, 64, backend="native").requires_grad_(False)
items = torch.randn(24, 48, 8, 20)

class Encoded(Dataset):
    def __len__(self):
        return len(items)

    def __getitem__(self, k):
        return layer(items[k])[0]

wanted = [layer(x)[0].clone() for x in items]
assert len(memory._held)
for collate in (None, lambda batch: batch):
    loader = DataLoader(Encoded(), 4, num_workers=2, collate_fn=collate, prefetch_factor=3)
    found = [y for batch in loader for y in batch]
    assert len(found) == 24
    assert all(torch.allclose(f, w, atol=1e-6) for f, w in zip(found, wanted)), collate
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_workers_of_a_data_loader(python) -> None:
    """Also where they hand on what a layer gave as it is: its memory then becomes the other process's too."""
    done = python(LOADED)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_and_inputs_in_any_order_of_memory(cell: str) -> None:
    """A state whose batch lies side by side in memory gets the gradients of the same state laid out by units."""
    torch.manual_seed(7)
    layer = Recurrent(cell, 5, 6, dtype=torch.float64)
    x = torch.randn(3, 5, 4, dtype=torch.float64).transpose(1, 2)
    states = tuple(torch.randn(1, 6, 4, dtype=torch.float64).transpose(1, 2) for _ in layer.cell.state)
    assert states[0].stride()[-1] != 1
    weigh = torch.randn(3, 4, 6, dtype=torch.float64)
    found = {}
    for backend in ("reference", "native"):
        layer.backend = backend
        leaves = [x.detach().requires_grad_(), *(s.detach().requires_grad_() for s in states)]
        assert leaves[1].stride() == states[0].stride()
        y, _ = layer(leaves[0], tuple(leaves[1:]) if len(states) > 1 else leaves[1])
        found[backend] = torch.autograd.grad((y * weigh).sum(), leaves)
    for mine, theirs in zip(found["native"], found["reference"], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-12, atol=1e-12)
