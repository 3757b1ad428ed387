"""Norm, rectifier, sum and pooling of pictures: native code says what torch's operations say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra.engine.native import build, pictures
from recurra.errors import WrongTensor, WrongValue
from recurra.nn import pictures as written
from recurra.testing.cells import EXACT, relative

pytestmark = pytest.mark.skipif(build.no_compiler() is not None, reason=str(build.no_compiler()))
EPSILON = 1e-5
SHAPES = [
    ((4, 16, 9, 6), (2, 2), [9, 7, 1, 0]),
    ((3, 3, 8, 5), (2, 2), [8, 3, 5]),  # rows and channels that are no multiple of anything
    ((2, 33, 7, 7), (1, 2), [7, 4]),
    ((3, 8, 5, 4), (1, 1), [5, 0, 2]),
    ((1, 20, 3, 3), (2, 2), [3]),  # a column that no pixel has room for
    ((2, 17, 40, 32), (2, 2), [40, 31]),
]


def drawn(shape: tuple[int, ...], pooled: tuple[int, int], ends: list[int], added: bool) -> dict[str, Any]:
    torch.manual_seed(sum(shape))
    B, C, T, rows = shape
    given = {
        "x": torch.randn(shape, dtype=torch.float64) + 0.7,
        "ends": torch.tensor(ends),
        "weight": torch.randn(C, dtype=torch.float64),
        "bias": torch.randn(C, dtype=torch.float64),
        "added": torch.randn(shape, dtype=torch.float64).relu() if added else None,
        "grad": torch.randn(B, C, T // pooled[0], rows // pooled[1], dtype=torch.float64),
    }
    return {name: t if t is None or name == "ends" else t.float().double() for name, t in given.items()}


def outcome(
    run: Callable[..., Tensor], given: dict[str, Any], pooled: tuple[int, int], dtype: torch.dtype
) -> list[Tensor]:
    """y and the gradients of x, weight, bias, and what was added."""
    leaves = {n: None if (t := given[n]) is None else t.to(dtype).requires_grad_() for n in NAMES}
    y = run(leaves["x"], given["ends"], leaves["weight"], leaves["bias"], EPSILON, pooled, leaves["added"])
    wanted = [t for t in leaves.values() if t is not None]
    return [y, *torch.autograd.grad(y, wanted, given["grad"].to(dtype))]


NAMES = ("x", "weight", "bias", "added")


def in_torch(x: Tensor, ends: Tensor, weight: Tensor, bias: Tensor, epsilon: float, *rest: Any) -> Tensor:
    return written.rectified(written._norm(x, ends, weight, bias, epsilon), ends, *rest)


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if missing := set(build.INSTRUCTIONS[request.param][1]) - build.processor():
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    monkeypatch.setattr(build, "instructions", lambda: request.param)
    pictures.library.cache_clear()
    yield
    pictures.library.cache_clear()


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(("shape", "pooled", "ends"), SHAPES)
def test_values_and_gradients(
    shape: tuple[int, ...], pooled: tuple[int, int], ends: list[int], added: bool, instructions: None
) -> None:
    given = drawn(shape, pooled, ends, added)
    exact = outcome(in_torch, given, pooled, torch.float64)
    for dtype, most in ((torch.float64, EXACT), (torch.float32, 1e-6)):
        own = outcome(in_torch, given, pooled, dtype)
        for k, (found, oracle, plain) in enumerate(
            zip(outcome(written.normed, given, pooled, dtype), exact, own, strict=True)
        ):
            assert found.shape == oracle.shape and found.dtype == dtype
            assert relative(found, oracle) <= max(most, 2 * relative(plain, oracle)), (dtype, k)
    y, x_grad = outcome(written.normed, given, pooled, torch.float32)[:2]
    for row, end in enumerate(ends):
        assert not y[row, :, -(-end // pooled[0]) :].any() and not x_grad[row, :, end:].any()


def test_what_lies_behind_an_end_is_not_read() -> None:
    shape, pooled, ends = SHAPES[0]
    given = drawn(shape, pooled, ends, True)
    expected = outcome(written.normed, given, pooled, torch.float32)
    for row, end in enumerate(ends):
        for name in ("x", "added"):
            given[name][row, :, end:] = float("nan")
        given["grad"][row, :, -(-end // 2) :] = float("nan")
    assert all(map(torch.equal, outcome(written.normed, given, pooled, torch.float32), expected))


def test_what_is_no_number_stays_none_and_in_its_picture() -> None:
    """Else a training that has run away would go on."""
    shape, pooled, ends = SHAPES[5]
    given = drawn(shape, pooled, ends, False)
    expected = outcome(written.normed, given, pooled, torch.float32)
    given["x"][1, 3, 5, 2] = float("nan")
    found = outcome(written.normed, given, pooled, torch.float32)
    assert all(
        f[1, :, :16].isnan().all() and torch.equal(f[0], e[0]) for f, e in zip(found[:1], expected, strict=False)
    )
    assert found[1][1, :, :31].isnan().all() and torch.equal(found[1][0], expected[1][0])


def test_threads_share_the_pictures() -> None:
    shape, pooled, ends = SHAPES[0]
    given, before = drawn(shape, pooled, ends, True), torch.get_num_threads()
    one = outcome(written.normed, given, pooled, torch.float32)
    try:
        torch.set_num_threads(3)
        assert all(map(torch.equal, outcome(written.normed, given, pooled, torch.float32), one))
    finally:
        torch.set_num_threads(before)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": torch.clone,
    "channels last": lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1) if t.ndim == 4 else t,
    "expanded": lambda t: t[:1].expand(t.shape),
    "strided": lambda t: torch.stack((t, t + 7), -1)[..., 0],
    "behind others": lambda t: torch.cat((t.new_ones(3), t.reshape(-1)))[3:].view(t.shape),
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "negative": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
}


@st.composite
def cases(draw: Any) -> dict[str, Any]:
    pooled = draw(st.sampled_from(pictures.POOLED))
    shape = tuple(draw(st.integers(least, most)) for least, most in zip((1, 1, *pooled), (3, 18, 5, 5), strict=True))
    return {
        "shape": shape,
        "pooled": pooled,
        "ends": draw(st.lists(st.integers(0, shape[2]), min_size=shape[0], max_size=shape[0])),
        "added": draw(st.booleans()),
        "views": draw(st.lists(st.sampled_from(list(VIEWS)), min_size=5, max_size=5)),
        "whole": draw(st.sampled_from((torch.int64, torch.int32, torch.uint8))),
    }


@settings(max_examples=80, deadline=None, derandomize=True)
@given(cases())
def test_views_are_what_they_say(case: dict[str, Any]) -> None:
    given = drawn(case["shape"], case["pooled"], case["ends"], case["added"])
    given["ends"] = given["ends"].to(case["whole"])
    for name, view in zip((*NAMES, "grad"), case["views"], strict=True):
        if given[name] is not None:
            given[name] = VIEWS[view](given[name])
    pairs = (outcome(run, given, case["pooled"], torch.float64) for run in (written.normed, in_torch))
    for k, (found, expected) in enumerate(zip(*pairs, strict=True)):
        torch.testing.assert_close(found, expected, msg=lambda m, k=k: f"tensor {k}: {m}")


def test_ends_out_of_range_read_nothing_else() -> None:
    shape, pooled, _ = SHAPES[0]
    found, expected = (
        outcome(written.normed, drawn(shape, pooled, ends, False), pooled, torch.float32)
        for ends in ([-5, 10**9, 3, 10], [0, 9, 3, 9])
    )
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": torch.zeros(2, 3, 4)}, r"x has shape \(2, 3, 4\) and is pooled by \(2, 2\)"),
        ({"pooled": (3, 2)}, r"is pooled by \(3, 2\), expected \[B, C, T, rows\] and one of \(\(1, 1\)"),
        ({"ends": torch.ones(3, dtype=torch.int64)}, r"ends has shape \(3,\), expected \(2,\)"),
        ({"weight": torch.zeros(4)}, r"weight has shape \(4,\), expected \(3,\)"),
        ({"added": torch.zeros(2, 3, 4, 6)}, r"added has shape \(2, 3, 4, 6\), expected \(2, 3, 4, 5\)"),
        ({"x": torch.zeros(2, 3, 4, 5).half()}, "x is .* of torch.float16 on cpu.*, expected float32 or float64"),
        ({"bias": torch.zeros(3).double()}, "bias is torch.float64, the layer's weights are torch.float32"),
        ({"x": torch.zeros(2, 3, 4, 5, device="meta")}, "on meta.*expected float32 or float64 on the CPU"),
        ({"ends": torch.ones(2)}, r"ends is \[2\] of torch.float32 on cpu.*, expected whole numbers"),
    ],
)
def test_other_tensors_are_refused(changed: dict[str, Any], message: str) -> None:
    given = {
        "x": torch.zeros(2, 3, 4, 5),
        "added": None,
        "ends": torch.tensor([4, 2]),
        "weight": torch.zeros(3),
        "bias": torch.zeros(3),
        "pooled": (2, 2),
    }
    pictures.laid_out(**given)
    with pytest.raises((WrongTensor, WrongValue), match=message):
        pictures.laid_out(**given | changed)


def test_a_gradient_of_another_shape_is_refused() -> None:
    given = pictures.laid_out(torch.zeros(2, 3, 4, 6), None, torch.tensor([4, 2]), *torch.zeros(2, 3), (2, 2))
    _, statistics = pictures.forward(given, EPSILON)
    with pytest.raises(WrongTensor, match=r"the gradient of y has shape \(2, 3, 4, 6\), expected \(2, 3, 2, 3\)"):
        pictures.backward(given, statistics, torch.zeros(2, 3, 4, 6))
