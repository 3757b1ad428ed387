"""Exported layers in another process, which made other layers first and may know other cells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.engine import signature
from recurra.equations.derive import PLAIN, Variant
from recurra.equations.language import Cell, cell, sigmoid, tanh
from recurra.equations.parse import parse
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import find

MINE = """
from recurra.equations.language import cell, sigmoid, tanh
from recurra.registry import part

@part("cell", "NAME")
@cell(gates="i g", state="h c", source="a test", name="NAME")
def mine(i, g, h, c):
    c = c + FACTOR * sigmoid(i) * tanh(g)
    return tanh(c), c
"""
TEXT = "state: h c\nstart: bias_ih.f = 1; bias_hh = 0\nf = sigmoid(f)\nc = f * c + (1 - f) * tanh(n)\nh = tanh(c)"
EXPORT = """
import sys, torch
from pathlib import Path
from recurra.equations.parse import parse
from recurra.nn import Recurrent
from recurra.registry import load_plugin

place, text = Path(sys.argv[1]), sys.argv[2]
load_plugin(place / "same.py"), load_plugin(place / "changed.py"), load_plugin(place / "unknown.py")
torch.manual_seed(0)
x = torch.randn(5, 2, 3)
made = {
    "plain": Recurrent("gru", 3, 4, backend="torch"),
    "masked": Recurrent("gru", 3, 4, zoneout=0.3, recurrent_dropout=0.2, bidirectional=True, backend="torch"),
    "deep": Recurrent("depth-gated-lstm", 3, 4, 2, backend="torch"),
    "text": Recurrent(parse(text, "written"), 3, 4, backend="torch"),
    **{name: Recurrent(name, 3, 4, backend="torch") for name in ("same", "changed", "unknown")},
}
expected = {}
for name, layer in made.items():
    layer.eval()
    torch.export.save(torch.export.export(layer, (x,)), place / f"{name}.pt2")
    expected[name] = layer(x)[0].detach()
torch.jit.trace(made["plain"], (x,)).save(place / "traced.pt")
expected["traced"] = expected["plain"]
torch.save({"x": x, "expected": expected}, place / "expected.pt")
"""
LOAD = """
import json, sys, torch
from pathlib import Path
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.registry import load_plugin

place = Path(sys.argv[1])
load_plugin(place / "same.py"), load_plugin(place / "now" / "changed.py")
Recurrent("gru", 3, 4, zoneout=0.5), Recurrent("gru", 3, 4)
Recurrent("depth-gated-lstm", 3, 4), Recurrent("depth-gated-lstm", 3, 4, 3, zoneout=0.5)
held = torch.load(place / "expected.pt")
said = {}
for name, oracle in held["expected"].items():
    traced = name == "traced"
    program = torch.jit.load(place / "traced.pt") if traced else torch.export.load(place / f"{name}.pt2").module()
    try:
        said[name] = float((program(held["x"])[0] - oracle).abs().max())
    except (ConfigError, RuntimeError) as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each program said in the second process: how far its values are off, or why it does not run."""
    place = tmp_path_factory.mktemp("programs")
    (place / "now").mkdir()
    for path, factor in (("same.py", 2), ("changed.py", 2), ("now/changed.py", 3), ("unknown.py", 2)):
        source = MINE.replace("NAME", Path(path).stem).replace("FACTOR", str(factor))
        (place / path).write_text(source, encoding="utf-8")
    subprocess.run([sys.executable, "-W", "ignore", "-c", EXPORT, str(place), TEXT], check=True, timeout=300)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, str(place)],
        check=True,
        timeout=300,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["plain", "masked", "deep", "text", "same", "traced"])
def test_a_program_means_the_same_in_another_process(name: str, said: dict[str, Any]) -> None:
    assert isinstance(said[name], float) and said[name] < 1e-6, said[name]


def test_a_cell_of_other_equations_is_refused(said: dict[str, Any]) -> None:
    assert "the cell 'changed', whose equations here" in said["changed"] and "--plugin FILE.py" in said["changed"]


def test_a_cell_that_is_not_known_is_refused_with_where_it_may_come_from(said: dict[str, Any]) -> None:
    assert "the cell 'unknown', which is not registered here" in said["unknown"]
    assert "recurra.registry.load_plugin('FILE.py'), or --plugin FILE.py" in said["unknown"]


def test_a_fingerprint_is_of_what_a_cell_computes() -> None:
    def made(step: Any, name: str = "mine") -> Cell:
        return cell(gates="i g", state="h", source="none", name=name)(step)

    def plain(i: Any, g: Any, h: Any) -> Any:
        return sigmoid(i) * tanh(g) + h

    def written_otherwise(i: Any, g: Any, h: Any) -> Any:
        new = tanh(g)
        return sigmoid(i) * new + h

    same = {signature.content(made(plain)), signature.content(made(written_otherwise))}
    others = {
        signature.content(made(lambda i, g, h: sigmoid(g) * tanh(i) + h)),
        signature.content(made(lambda i, g, h: sigmoid(i) * tanh(g) + 2 * h)),
        signature.content(made(lambda i, g, h: sigmoid(i.input) * tanh(g) + h)),
        signature.content(made(plain, "another")),
    }
    assert len(same) == 1 and len(others) == 4 and not same & others


def test_a_signature_is_read_as_it_was_written() -> None:
    varied = Variant(projected=True, recurrent_mask=True, zoneout=("c",))
    for given in (find("cell", "lstm"), find("cell", "depth-gated-lstm"), parse(TEXT, "written")):
        for variant in (PLAIN, varied):
            for lowest in (False, True):
                said = signature.write(given, variant, lowest)
                assert "\n" not in said
                assert signature.read(said) == (given.lowest if lowest else given, variant)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"zoneout": []', '"zoneout": ["z"]', "zoneout of 'z', no state of 'gru'"),
        ('"lowest": true', '"lowest": 3', "expected true or false"),
        ('"cell"', '"sell"', "Export the layer again"),
        ("{", "[" * 5000 + "{", "nested|no JSON"),
        ("\nweight_ih,", "\n", "has 4 weights and 1 states, expected 3 and 1"),
        ("\nauto\n", "\naten\n", "Make the layer with backend='auto'"),
        ("\nauto\n", "\nreference\n", "not as this version of recurra writes it"),
        ("\nauto\n", "\nauto\nfloat8", "not as this version of recurra writes it"),
        ("\n\n", "\n\nz", "not as this version of recurra writes it"),
    ],
)
def test_a_program_that_was_changed_is_refused(old: str, new: str, words: str) -> None:
    layer = Recurrent("gru", 3, 4)
    weights, x, state = layer.all_weights[0], torch.randn(5, 2, 3), [torch.zeros(2, 4)]
    good = "\n".join((layer._signatures[0], "weight_ih,weight_hh,bias_ih,bias_hh", "", "", "auto", ""))
    torch.testing.assert_close(torch.ops.recurra.layer(x, None, state, weights, good, 0)[0], layer(x)[0])
    assert old in good
    with pytest.raises(ConfigError, match=words):
        torch.ops.recurra.layer(x, None, state, weights, good.replace(old, new, 1), 0)
