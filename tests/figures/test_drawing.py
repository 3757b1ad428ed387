"""A drawing of a page becomes a file of its own."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from recurra.answers import Pair, Roll, Series, Transcript
from recurra.answers.pair import Hypothesis
from recurra.errors import ConfigError
from recurra.figures.charts import Band, Line, bars, line_chart
from recurra.figures.drawing import drawings_in, style

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str | bytes) -> ElementTree.Element:
    """The root of a file, which must be well-formed and have its colours in it."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg" and int(root.attrib["width"]) > 0 and int(root.attrib["height"]) > 0
    assert root.find(f"{SVG}style").text == style()  # type: ignore[union-attr]
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_all_drawings_of_a_page_with_what_stands_below_them() -> None:
    x = np.arange(3.0)
    lines = [Line("a < b", x), Line("other", -x, dashed=True)]
    chart = line_chart(lines, "steps", "height", band=Band(x - 1, x + 1, x, "80 % range"))
    first, second = drawings_in(f"<h1>x</h1>{chart}<p>{bars(['p', 'q'], [1, 2], 'symbols', 'count')}</p>")
    root = parsed(first)
    assert texts(root)[-4:] == ["height", "a < b", "other", "80 % range"]
    drawn = [each.attrib["y"] for each in root.iter(f"{SVG}text")][-4:]
    view = [int(each) for each in root.attrib["viewBox"].split()]
    assert all(220 < float(y) < view[3] for y in drawn) and float(drawn[0]) < float(drawn[1])
    assert texts(parsed(second))[-1] == "count"
    assert drawings_in("<p>none</p>") == []


def test_answers_are_drawn() -> None:
    ahead = np.arange(4.0)
    series = Series(np.arange(100.0), ahead, ahead - 1, ahead + 1, "load", "MW", 80, ahead)
    found = texts(parsed(series.saved(".svg")))
    assert found[-5:] == ["load [MW]", "given", "forecast", "measured", "80 % range"]
    plain = Series([], ahead)
    assert texts(parsed(plain.saved(".svg")))[-1] == "forecast"
    root = parsed(Roll(("C4", "E4", "G4"), [[0, 2], [], [0]], 1).saved(".svg"))
    assert texts(root) == ["G4", "C4"]
    assert [each.get("class") for each in root.iter(f"{SVG}rect")] == [None, "cell", "cell", "bar"]


def test_an_alignment_that_was_asked_for_is_drawn() -> None:
    symbols = [{"symbol": "<", "begin": 1, "end": 2, "p": 0.5}]
    transcript = Transcript("<", 0.5, symbols=symbols, unit="px", seen=np.eye(4, 6, dtype=np.float32), end=6.0)
    root = parsed(transcript.saved(".svg"))
    assert root.find(f"{SVG}image") is not None and texts(root)[-1].endswith("<")
    best = Hypothesis("ein Hund", target_tokens=("ein", "Hund"))
    pair = Pair("a dog", (best,), ("a", "dog"), attention=[[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0, 1]])
    assert {"ein", "Hund", "a", "dog"} <= set(texts(parsed(pair.saved(".svg"))))
    for part, flag in ((Transcript("1", 0.5), "--alignment"), (Pair("a", (best,)), "--attention")):
        with pytest.raises(ConfigError, match=flag):
            part.saved(".svg")
