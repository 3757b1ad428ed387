"""Pictures that any reader of SVG can read."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from recurra.lab.curves import svg


def lines(picture: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline points="([^"]*)"', picture)
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in one.split())] for one in found]


def test_what_is_above_the_top_is_drawn_there() -> None:
    (line,) = lines(svg("t", {"p": [(0, 9.0), (1, 2.0), (2, 1.0)]}, x="x", y="y", top=2.0))
    (_, first), (_, second), (_, third) = line
    assert first == second < third


def test_names_are_escaped_and_higher_is_further_up() -> None:
    picture = svg(
        "a < b", {"x & y": [(0, 1.0), (1, 2.0)], "flat": [(0, 1.5), (1, 1.5)]}, x="steps", y="error", dashed=1.7
    )
    ET.fromstring(picture)
    assert "a &lt; b" in picture and "x &amp; y" in picture and "stroke-dasharray" in picture
    rising, flat = lines(picture)
    assert rising[1][1] < flat[0][1] == flat[1][1] < rising[0][1]
    assert rising[0][0] < rising[1][0]


def test_a_logarithmic_axis_makes_powers_straight() -> None:
    (line,) = lines(svg("t", {"p": [(k, 0.9**k) for k in range(60)]}, x="lag", y="share", log=True))
    falls = [b[1] - a[1] for a, b in itertools.pairwise(line)]
    assert len(line) == 60 and max(falls) == pytest.approx(min(falls), abs=0.2)


def test_what_cannot_be_drawn_is_left_out() -> None:
    (line,) = lines(
        svg("t", {"p": [(0, 1.0), (1, 0.0), (2, math.nan), (3, math.inf), (4, 1e-3)]}, x="x", y="y", log=True)
    )
    assert len(line) == 2
    for log in (True, False):
        ET.fromstring(svg("t", {"p": []}, x="x", y="y", log=log))
        ET.fromstring(svg("t", {f"curve {k}": [(0, 1.0)] for k in range(13)}, x="x", y="y", log=log))


def test_a_bound_is_dashed_above_its_curve_and_does_not_press_it_down() -> None:
    curves = {"other": [(0, 1.0), (9, 1.0)], "held": [(k, 0.5**k) for k in range(10)]}
    bound = [(k, 3.0**k) for k in range(10)]
    picture = svg("t", curves, x="lag", y="share", log=True, bounds={"held": bound})
    ET.fromstring(picture)
    other, held, above = lines(picture)
    assert len(above) == 5  # 81 and no more: a hundred times the highest
    assert above[0] == held[0] and all(b[1] < h[1] for b, h in zip(above[1:], held[1:], strict=False))
    strokes = re.findall(r'stroke="(#\w+)" stroke-width="(?:1.6|1.2)"( stroke-dasharray="5 4")?', picture)
    assert strokes[1][0] == strokes[2][0] != strokes[0][0] and [bool(dash) for _, dash in strokes] == [
        False,
        False,
        True,
    ]
    plain = svg("t", curves, x="lag", y="share", log=True, bounds={"held": [(0, 1e9)]})
    assert lines(plain) == lines(svg("t", curves, x="lag", y="share", log=True))
    assert other[0][1] > above[-1][1]
