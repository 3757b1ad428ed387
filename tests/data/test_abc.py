"""Tunes in ABC notation become the notes of each step, and are written so."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from recurra.data.abc import abc_of, tunes_in
from recurra.data.notes import number_of
from recurra.data.readers.abc import AbcReader
from recurra.errors import ConfigError, DataError


def one(body: str, head: str = "M:4/4\nL:1/16\nK:C") -> list[list[int]]:
    """The steps of a tune."""
    ((_, steps),) = tunes_in(f"X:1\n{head}\n{body}\n", "a.abc", 4)
    return steps


def named(text: str) -> list[list[int]]:
    return [[number_of(each) for each in step.split()] for step in text.split("|")]


@pytest.mark.parametrize(
    ("body", "head", "steps"),
    [
        ("C c c' C,", "M:4/4\nL:1/16\nK:C", "C4|C5|C6|C3"),
        ("F C B", "M:4/4\nL:1/16\nK:D", "F#4|C#4|B4"),
        ("F B E A", "M:4/4\nL:1/16\nK:Eb", "F4|Bb4|Eb4|Ab4"),
        ("F c G", "M:4/4\nL:1/16\nK:Em", "F#4|C5|G4"),
        ("F B", "M:4/4\nL:1/16\nK:D dorian", "F4|B4"),
        ("F C B E", "M:4/4\nL:1/16\nK:G ^c", "F#4|C#4|B4|E4"),
        ("^F f F|F =F _B ^^C __D", "M:4/4\nL:1/16\nK:C", "F#4|F#5|F#4|F4|F4|Bb4|D4|C4"),
        ("^F-|F F|F", "M:4/4\nL:1/16\nK:C", "F#4|F#4|F4|F4"),
        ("[C^F-]2|[FA]", "M:4/4\nL:1/16\nK:C", "C4 F#4|C4 F#4|F#4 A4"),
        ("C2 z2 D/ E// F3/2", "M:4/4\nL:1/8\nK:C", "C4|C4|C4|C4|||||D4|E4|F4|F4"),
        ("C>D E<F", "M:4/4\nL:1/8\nK:C", "C4|C4|C4|D4|E4|F4|F4|F4"),
        ("(3CDE F", "M:4/4\nL:3/16\nK:C", "C4|C4|D4|D4|E4|E4|F4|F4|F4"),
        ("|:C D:|E", "M:4/4\nL:1/16\nK:C", "C4|D4|C4|D4|E4"),
        ("C|:D|1 E:|2 F||:G:|", "M:4/4\nL:1/16\nK:C", "C4|D4|E4|D4|F4|G4|G4"),
        ("C D::E:|", "M:4/4\nL:1/16\nK:C", "C4|D4|C4|D4|E4|E4"),
        ('"Am7"!p!{ga}(C ~D) y .E % F', "M:4/4\nL:1/16\nK:C", "C4|D4|E4"),
        ("C[K:D]C[M:2/4][L:1/8]D", "M:4/4\nL:1/16\nK:C", "C4|C#4|D4|D4"),
        ("[V:1]C D\n[V:2]E,2", "M:4/4\nL:1/16\nK:C", "E3 C4|E3 D4"),
        ("V:1\nC D\nV:2\nE,2\nw:la la", "M:4/4\nL:1/16\nK:C", "E3 C4|E3 D4"),
        ("C\n\nwords of no tune", "M:6/8\nK:C", "C4|C4"),
        ("C Z D", "M:1/8\nK:C", "C4|||D4"),
        ("F G", "K:HP", "F#4|F#4|G4|G4"),
        ("B2", "M:C|\nL:1/16\nK:F clef=bass", "Bb4|Bb4"),
    ],
)
def test_notation(body: str, head: str, steps: str) -> None:
    assert one(body, head) == named(steps)


def test_against_music21() -> None:
    """Read once with music21 9 (no accidentals repeated, on which readers differ), four steps to a quarter."""
    reel = one(
        '|:"D"d2 fd Adfd|e2 ge Bege|d2 fd A>dfd|1 e<gfe d2 z2:|2 egfe d4|]',
        "T:A reel of ours\nM:4/4\nL:1/8\nK:D",
    )
    bar = [74] * 4 + [78] * 2 + [74] * 2 + [69] * 2 + [74] * 2 + [78] * 2 + [74] * 2
    assert [step[0] for step in reel[:16]] == bar and len(reel) == 128
    assert reel[48:64] == [[76], *[[79]] * 3, *[[78]] * 2, *[[76]] * 2, *[[74]] * 4, *[[]] * 4]
    assert reel[64:80] == reel[:16] and reel[-4:] == [[74]] * 4


@pytest.mark.parametrize("seed", range(8))
def test_what_is_written_is_read(seed: int) -> None:
    draw = np.random.default_rng(seed)
    steps: list[list[int]] = []
    for _ in range(40):
        chord = sorted({*draw.integers(21, 109, draw.integers(0, 5)).tolist()})
        steps += [chord] * int(draw.integers(1, 6))
    steps.append([60])
    ((place, read),) = tunes_in(abc_of(steps, 0.2), "a.abc", 4)
    assert read == steps and place == "a.abc:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("K:C\nC D\n", "a.abc: no line begins with X:"),
        ("X:1\nT:none\nC D\n", "a.abc:1: a tune without K:"),
        ("X:1\nK:C\nC D\nC & D\n", "a.abc:4: '&' is nothing of ABC notation that is read"),
        ("X:1\nM:four\nK:C\nC\n", "a.abc:2: M:four is no meter"),
        ("X:1\nM:4/0\nK:C\nC\n", "a.abc:2: M:4/0 is no meter"),
        ("X:1\nL:1/0\nK:C\nC\n", "a.abc:2: L:1/0 is no length"),
        ("X:1\nK:house\nC\n", "a.abc:2: K:house is no key"),
        ("X:1\nK:C\nc''''''\n", "a.abc:3: the note c'''''', expected C,,,,, to g''''"),
        ("X:1\nK:C\nC99999\n", "a.abc:3: a note 99999 times as long"),
        ("X:1\nK:C\nC2/0\n", "a.abc:3: a note 2/0 times as long"),
        ("X:1\nL:999\nK:C\nC9999C9999\n", "a.abc:1: more than 1,000,000 steps"),
    ],
)
def test_what_is_no_tune(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        list(tunes_in(text, "a.abc", 4))


def test_a_file_of_tunes(tmp_path: Path) -> None:
    path = tmp_path / "tunes.abc"
    path.write_text("% mine\nX:1\nT:One\nK:C\nC\n\nX:2\nK:C\nD\n", encoding="utf-8")
    first, second = AbcReader().read(path)
    assert first["notes"] == [[60], [60]] and first["place"] == f"{path}:2" and second["place"] == f"{path}:7"
    assert first["text"] == "60\n60\n"
    with pytest.raises(ConfigError, match=re.escape("reader.steps = 0, expected 1 to 96")):
        AbcReader(steps=0)
