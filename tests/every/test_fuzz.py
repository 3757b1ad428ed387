"""A slice of the fuzzing that `benchmarks/fuzz.py` does by the million: no input ends in anything but a result or a
`RecurraError`."""

from __future__ import annotations

import importlib
from pathlib import Path
from random import Random

import pytest

from recurra.errors import DataError
from recurra.testing.fuzzing import Counts, fuzz, made
from recurra.testing.fuzzing.files import READERS, Vectors
from recurra.testing.fuzzing.harness import KEPT
from recurra.testing.fuzzing.mutations import mutated, mutated_value, nested

SLICE = {
    "files": {"Readers": 1_500, "Vectors": 1_500, "Codecs": 150},
    "recipes": {"Recipes": 120, "Equations": 700},
    "bodies": {"Bodies": 120},
    "runs": {"Runs": 40},
    "exports": {"Exports": 25},
}


@pytest.mark.parametrize(("module", "kind"), [(module, kind) for module, kinds in SLICE.items() for kind in kinds])
def test_no_input_crashes(module: str, kind: str, tmp_path: Path) -> None:
    for needed in {"Bodies": ("fastapi",), "Exports": ("onnx", "onnxruntime")}.get(kind, ()):
        pytest.importorskip(needed)
    found, counts = getattr(importlib.import_module(f"recurra.testing.fuzzing.{module}"), kind)(tmp_path), Counts()
    findings = list(fuzz(found, 1, range(SLICE[module][kind]), counts, longest=30.0))
    assert not findings, "\n".join(f"{each.number}: {each.trace}\n{each.given[:500]!r}" for each in findings)
    assert counts.inputs == SLICE[module][kind] == counts.accepted + counts.refused
    assert counts.accepted and counts.refused  # or they are all of one sort, and little is tried


class Odd:
    """Inputs of one letter: a is taken, b is refused, all others are what they should not be."""

    name = "odd"

    def make(self, random: Random) -> bytes:
        return random.choice("abcde").encode()

    def take(self, given: bytes) -> bool:
        if given == b"b":
            raise DataError("b is refused.")
        if given == b"c":
            raise KeyError("c")
        if given == b"d":
            while True:
                pass
        if given == b"e":
            raise DataError("")
        return True


def test_what_is_no_result_and_no_refusal_is_found() -> None:
    counts, numbers = Counts(), range(40)
    letters = [made(Odd(), 0, number) for number in numbers]
    findings = list(fuzz(Odd(), 0, numbers, counts, longest=0.02))
    assert (counts.inputs, counts.accepted, counts.refused) == (40, letters.count(b"a"), letters.count(b"b"))
    assert counts.crashes == 40 - counts.accepted - counts.refused
    assert {name.split()[0] for name in counts.findings} == {"KeyError", "TooLong", "AssertionError"}
    assert len(findings) <= 3 * KEPT and all(made(Odd(), 0, each.number) == each.given for each in findings)
    assert "no sentence: ''" in "".join(each.trace for each in findings)


def test_an_input_is_a_function_of_seed_and_number(tmp_path: Path) -> None:
    kind = Vectors(tmp_path)
    assert made(kind, 0, 7) == made(kind, 0, 7)
    assert len({made(kind, seed, number) for seed in range(2) for number in range(50)}) > 80


def test_mutations_change_what_they_are_given() -> None:
    text, value = READERS["conllu"][0], {"a": [1, {"b": "x"}], "c": 2.5}
    changed = [mutated(text, Random(seed)) for seed in range(300)]
    assert sum(each != text.encode() for each in changed) > 200
    assert sum(repr(mutated_value(value, Random(seed))) != repr(value) for seed in range(300)) > 250
    assert value == {"a": [1, {"b": "x"}], "c": 2.5}
    assert repr(nested(50, Random(0))).count("1") == 1
