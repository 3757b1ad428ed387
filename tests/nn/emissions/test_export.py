"""What an emission gives of a step, and its likeliest value, as ONNX, for any number of steps and sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.registry import names
from recurra.testing.emissions import WIDTH, emission_settings, make_emission

ALL = [settings for name in names("emission") for settings in emission_settings(name)]


@pytest.mark.parametrize("settings", ALL, ids=lambda s: ", ".join(map(str, s.values())))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_onnx_runtime_gives_the_same_distribution_and_what_is_likeliest(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    emission = make_emission(settings)[0].float()

    class Outputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emission = emission

        def forward(self, y: Tensor) -> tuple[Tensor, ...]:
            given = self.emission.distribution(y)
            return *given.values(), self.emission.sample(given, temperature=0)

    free = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        Outputs(),
        (torch.randn(3, 2, WIDTH),),
        dynamo=True,
        verbose=False,
        input_names=["y"],
        output_names=[*emission.outputs, "likeliest"],
        dynamic_shapes=({0: free, 1: free},),
    )
    assert program is not None
    program.save(tmp_path / "emission.onnx")
    y = torch.randn(7, 4, WIDTH)
    found = runtime.InferenceSession(str(tmp_path / "emission.onnx")).run(None, {"y": y.numpy()})
    for mine, expected in zip(found, Outputs()(y), strict=True):
        np.testing.assert_allclose(mine, expected.detach().numpy(), atol=1e-5)
