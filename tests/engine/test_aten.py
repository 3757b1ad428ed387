"""torch's kernels are asked for only where the processor has them; each processor is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch

from recurra import engine
from recurra.engine import aten
from recurra.engine.native import backend, build
from recurra.nn import Recurrent

PROCESSORS = ("AVX512_CORE", "AVX2", "AVX", "SSE41")
CHECKS = """
import os
import torch
from recurra.engine import aten
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.testing.cells import relative

def run(layer, x, short, learns):
    with torch.autocast("cpu", torch.bfloat16, enabled=short), torch.set_grad_enabled(learns):
        y = layer(x)[0]
        return [y, *(torch.autograd.grad(y.float().square().sum(), tuple(layer.parameters())) if learns else ())]

for cell in aten.KERNELS:
    for learns in (False, True):
        for short in (False, True):
            torch.manual_seed(0)
            layer, x = Recurrent(cell, 5, 20, backend="reference"), torch.randn(7, 3, 5)
            expected = run(layer, x, False, learns)
            for layer.backend in ("auto", "aten"):
                try:
                    found = run(layer, x, short, learns)
                except ConfigError as error:
                    assert (layer.backend, cell, short) == ("aten", "lstm", True), error
                    said = "has no lstm of torch.bfloat16 for this processor, as ONEDNN_MAX_CPU_ISA="
                    assert said + os.environ["ONEDNN_MAX_CPU_ISA"] in str(error), error
                    assert "Use backend='auto'." in str(error)
                    print("refused")
                    continue
                for mine, theirs in zip(found, expected, strict=True):
                    assert relative(mine.float(), theirs) < (5e-2 if short else 1e-5)
print("done")
"""


@pytest.mark.parametrize("limit", PROCESSORS)
def test_what_a_processor_lacks_is_not_handed_over_and_refused_by_name(limit: str) -> None:
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": limit}
    done = subprocess.run(
        [sys.executable, "-c", CHECKS], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "done"
    if limit != "AVX512_CORE":  # without AVX-512 there is no bfloat16, in training and without
        assert done.stdout.split() == ["refused", "refused", "done"]


def test_other_errors_are_not_taken_for_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setitem(aten.KERNELS, "lstm", broken)
    aten._lacks.cache_clear()
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            Recurrent("lstm", 3, 4)(torch.randn(2, 1, 3))
    finally:
        aten._lacks.cache_clear()


class Taken(Exception):
    """An engine was taken."""


@pytest.mark.parametrize(("widens", "taken"), [(False, "aten"), (True, "native")])
def test_a_kernel_of_bfloat16_that_the_processor_does_not_multiply_is_left_alone(
    widens: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> Any:
        def raises(*given: Any) -> None:
            raise Taken(name)

        return raises

    monkeypatch.setattr(aten, "run", run("aten"))
    monkeypatch.setattr(backend, "run", run("native"))
    monkeypatch.setattr(aten, "lacks", lambda *given: None)
    monkeypatch.setattr(build, "no_compiler", lambda: None)
    monkeypatch.setattr(engine, "widens", lambda device, low: widens)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(Taken, match=taken):
        Recurrent("lstm", 3, 4)(torch.randn(2, 1, 3))
