"""The backend "triton" on a GPU. Nobody of us has one: these tests run where there is one, and have never run yet."""

from __future__ import annotations

import pytest
import torch

from recurra.engine.triton import graphs, kernels
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find, names
from recurra.testing.cells import CONFIGURATIONS, check_equal, check_float32

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.skipif(kernels.missing() is not None, reason="triton is not installed"),
]


def test_the_probe() -> None:
    assert kernels.trouble(torch.device("cuda", 0)) is None


@pytest.mark.parametrize("name", names("cell"))
@pytest.mark.parametrize("captured", [False, True], ids=["launched", "captured"])
def test_equal(name: str, captured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(graphs.SETTING, "1" if captured else "0")
    for configuration in CONFIGURATIONS:
        for _ in range(2 if captured else 1):  # captured, and replayed
            check_equal(find("cell", name), configuration, ["torch", "triton"], "cuda")


@pytest.mark.parametrize("name", names("cell"))
def test_float32(name: str) -> None:
    check_float32(find("cell", name), ["torch", "triton"], "cuda")


def test_autocast_is_refused() -> None:
    layer, x = Recurrent("min-gru", 3, 4, backend="triton").cuda(), torch.randn(5, 2, 3, device="cuda")
    with torch.autocast("cuda", torch.bfloat16), pytest.raises(ConfigError, match="it has no short products"):
        layer(x)
