"""docs/scale.md says what was measured, its model counts the operations that torch counts, and it meets the figures."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
FOUND = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", ROOT / "benchmarks" / "scale.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module  # where its dataclass looks its types up
    spec.loader.exec_module(module)
    return module


def test_the_operations_are_those_that_torch_counts(scale: ModuleType) -> None:
    size = scale.Size(H=32, L=2, V=500, B=4, T=8)
    layers = [nn.LSTMCell(size.H, size.H) for _ in range(size.L)]
    x = torch.randn(size.T, size.B, size.H, requires_grad=True)
    states = [(torch.zeros(size.B, size.H, requires_grad=True), torch.zeros(size.B, size.H)) for _ in layers]
    head, rows = nn.Linear(size.H, size.V), []
    with FlopCounterMode(display=False) as counted:
        for row in x:
            for k, layer in enumerate(layers):
                states[k] = layer(row, states[k])
                row = states[k][0]
            rows.append(row)
        head(torch.stack(rows)).square().sum().backward()
    assert counted.get_total_flops() == size.operations * size.tokens
    parts = [nn.Embedding(size.V, size.H), *layers, head]
    assert size.parameters == sum(p.numel() for part in parts for p in part.parameters())


def test_the_model_meets_the_figures(scale: ModuleType) -> None:
    sizes = [scale.Size(**{name: row[name] for name in "HLVBT"}) for row in FOUND["rows"]]
    assert sizes == scale.sizes()
    seconds = [row["us a token"] / 1e6 for row in FOUND["rows"]]
    assert scale.fit(sizes, seconds) == pytest.approx(FOUND["numbers"])
    off = [abs(scale.predicted(size, FOUND["numbers"]) / each - 1) for size, each in zip(sizes, seconds, strict=True)]
    assert f"within {max(off):.0%}".replace("%", " %") in PAGE
    operations, memory, symbols, update = FOUND["numbers"]
    for said in (
        f"{1e-9 / operations:.1f} \\cdot 10^9",
        f"{1e-9 / memory:.1f} \\cdot 10^9",
        f"{1e-6 / symbols:.0f} \\cdot 10^6",
    ):
        assert said in PAGE
    assert f"{update * 1e3:.1f} \\cdot 10^{{-3}}" in PAGE


def test_the_tables_are_the_figures(scale: ModuleType) -> None:
    rows = re.findall(r"^\| ([HLVTB]) ([\d,]+).*?\| [\d.]+ \| [\d,]+ \| ([\d.,]+) \| ([\d.,]+) \|", PAGE, re.MULTILINE)
    assert len(rows) == len(FOUND["rows"])
    known = {scale.Size(**{name: row[name] for name in "HLVBT"}): row for row in FOUND["rows"]}
    for name, value, measured, model in rows:
        row = known[scale.replace(scale.BASE, **{name: int(value.replace(",", ""))})]
        assert float(measured.replace(",", "")) == pytest.approx(row["us a token"], rel=0.006)
        assert float(model.replace(",", "")) == pytest.approx(row["model"], rel=0.006)
    billions = re.findall(
        r"^\| \w+ \| (\d+), (\d+), ([\d,]+) \| (\d+), (\d+) \| .*? \| [\d,.]+ \| [\d,.]+ \| ([\d,.]+) \|", PAGE, re.M
    )
    assert len(billions) == 5
    for H, L, V, B, T, days in billions:
        size = scale.Size(int(H), int(L), int(V.replace(",", "")), int(B), int(T))
        assert float(days) == pytest.approx(1e9 * scale.predicted(size, FOUND["numbers"]) / 86_400, rel=0.05)
