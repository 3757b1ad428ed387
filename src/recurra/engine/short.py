"""Products of factors rounded to bfloat16: the processor's own where it has them, else products of float32.

Both round the factors alike and sum in float32, so they differ by the rounding of sums alone. Without instructions for
bfloat16 torch's products of it take 2 (AVX-512) to 70 times (AVX2, by the order of the factors) as long as float32's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LIMITS = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
"""What ONEDNN_MAX_CPU_ISA may be set to that leaves oneDNN no products of bfloat16."""


def multiplies(device: torch.device) -> bool:
    """Whether products of bfloat16 are the device's own; what torch cannot tell is a no."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", ""))
    if device.type != "cpu" or limit.upper() in LIMITS:
        return False
    known = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(supported() for supported in known if supported is not None)


def widens(device: torch.device, low: torch.dtype | None) -> bool:
    """Whether factors of `low` are better multiplied in float32."""
    return low is torch.bfloat16 and device.type == "cpu" and not multiplies(device)


def factor(t: Tensor, low: torch.dtype) -> Tensor:
    """t rounded to `low`, in the type that it is multiplied in here: `low`, or float32."""
    return rounded(t) if widens(t.device, low) else t.to(low)


def rounded(t: Tensor) -> Tensor:
    """t rounded to bfloat16, as float32."""
    return t.to(torch.bfloat16).to(torch.float32)


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """torch.autocast of bfloat16, with torch's products made of float32 where they are better; it can be entered again
    and again."""
    return _Widened() if widens(device, torch.bfloat16) else torch.autocast(device.type, dtype=torch.bfloat16)


FACTORS: Mapping[Callable[..., Any], tuple[int, int]] = {
    **dict.fromkeys((F.linear, torch.conv1d, torch.conv2d, torch.bmm, Tensor.bmm), (0, 2)),
    **dict.fromkeys((torch.matmul, Tensor.matmul, torch.mm, Tensor.mm), (0, 2)),
    **dict.fromkeys((torch.addmm, Tensor.addmm, torch.baddbmm, torch.einsum), (1, 3)),
    F.scaled_dot_product_attention: (0, 3),
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), (0, 1)),
}
"""torch's products that autocast rounds the factors of, and which arguments those are, from and up to; of its own
recurrent layers x alone, and that they run in float32 is what matters: oneDNN may have no LSTM of bfloat16."""


class _Widened(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self._autocast = torch.autocast("cpu", dtype=torch.bfloat16)
        self._kept: dict[tuple[int, bool], tuple[Tensor, Tensor]] = {}
        """Weights rounded since this was entered: a decoder asks for them at every step."""

    def __enter__(self) -> _Widened:
        self._autocast.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._kept.clear()
        super().__exit__(*error)
        self._autocast.__exit__(*error)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        first, end = FACTORS.get(func, (0, 0))
        if not end or len(args) < end or not torch.is_autocast_enabled("cpu"):
            return func(*args, **(kwargs or {}))
        found = [self._rounded(t) if isinstance(t, Tensor) else t for t in args[first:end]]
        torch.set_autocast_enabled("cpu", False)
        try:
            return func(*args[:first], *found, *args[end:], **(kwargs or {}))
        finally:
            torch.set_autocast_enabled("cpu", True)

    def _rounded(self, t: Tensor) -> Tensor:
        if t.dtype not in (torch.float32, torch.bfloat16) or t.device.type != "cpu":
            return t
        if not (t.is_leaf and t.requires_grad):
            return rounded(t)
        key = (id(t), torch.is_grad_enabled())
        if key not in self._kept:
            self._kept[key] = (t, rounded(t))
        return self._kept[key][1]
