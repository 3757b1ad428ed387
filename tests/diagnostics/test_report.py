"""The report: what stands in it is what was found, and whatever a text holds is shown and never run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from recurra.diagnostics.report import Inspection, figures, inspect_model, page, summary
from recurra.errors import DataError
from recurra.figures.charts import Line, bars, heat_map, line_chart, plane, scatter
from recurra.figures.shown import cut, escaped, visible
from recurra.model import Model

from .conftest import TEXT

NASTY = ["</script>", "<b>", '"', "שלום", "日本語", "\u202e", "a&b"]


class Tags(HTMLParser):
    """Counts of opened and closed tags."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.closed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.closed.append(tag)


@pytest.fixture
def found(made: Callable[..., Model]) -> Inspection:
    return inspect_model(made(), TEXT, name="my run", origin="from a test")


def test_the_page_is_whole_and_needs_no_network(found):
    written = page(found)
    tags = Tags()
    tags.feed(written)
    for tag in ("section", "div", "table", "svg", "script", "style", "details", "figure", "bdi"):
        assert tags.opened.count(tag) == tags.closed.count(tag), tag
    assert tags.opened.count("script") == 1
    assert "http://" not in written and "https://" not in written and "src=" not in written.split("<body>")[1]
    assert len(written.encode()) < 6e6


def test_every_drawing_is_a_file_of_its_own(found):
    drawn = figures(found)
    assert len(drawn) == page(found).count("<svg ") and "gradient_flow-1.svg" in drawn
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_numbers_of_the_page_are_those_found(found):
    written, said = page(found), summary(found)
    for flow in found.gradient_flow.main:
        assert flow.advice.split(":")[0] in written.replace("&#x27;", "'")
        assert flow.verdict in written and flow.verdict in said
    for spectrum in found.spectra:
        assert f"{spectrum.norm:.3g}" in written and f"{spectrum.norm:.3g}" in said
    for gate in found.gates.gates:
        if gate.shut is not None:
            assert f"<td>{gate.mean:.2f}</td>" in written
    for place in found.next_symbols:
        assert f"p = {place.p:.3f}" in written
    for units in found.trackers.values():
        for unit in units:
            assert f"unit {unit.unit}" in written
    for sentence in found.left_out.values():
        assert escaped(sentence) in written and sentence in said


def test_all_of_it_is_json(found):
    again = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert again["tokens"] == list(found.tokens)
    assert [flow["verdict"] for flow in again["gradient_flow"]["flows"]] == [
        f.verdict for f in found.gradient_flow.flows
    ]
    recorded = {"training", "recorded_gradients", "recorded_spectra"}
    assert set(again["left_out"]) == {
        *recorded,
        "earliness",
        "alignment",
        "self_attention",
        "units that track",
    }


@pytest.mark.parametrize("task", ["tag", "fill", "transduce"])
def test_markup_in_a_text_is_shown(made, task):
    found = inspect_model(made(task), NASTY)
    written = page(found)
    assert "<b>Gradients of the training.</b>" in written
    tags = Tags()
    tags.feed(written)
    assert tags.opened.count("script") == tags.closed.count("script") == 1
    assert tags.opened.count("b") == len(found.left_out)
    assert "\u202e" not in written
    assert "日本語" in written and "שלום" in written


def test_attention_is_drawn_with_its_tokens(made):
    decoder = {"kind": "recurrent", "hidden_size": 6, "context": "attention"}
    pair = {"source": ["the", "fox"], "target": ["der", "fuchs"]}
    written = page(inspect_model(made("transduce", decoder=decoder), pair))
    assert 'aria-label="Attention of the decoder"' in written and "→ fox:" in written
    core = {"kind": "transformer", "hidden_size": 8, "num_layers": 2, "heads": 2}
    found = inspect_model(made("tag", core), ["the", "quick", "fox"])
    assert found.gates is None and "no gates" in summary(found)
    assert page(found).count("<summary>layer") == 4


def test_what_a_training_recorded_is_told(made, tmp_path, monkeypatch):
    lines = ({"step": k, "norms": {"layer 1, forwards": [2.0, 1.0, 0.5 * k]}} for k in (1, 3))
    (tmp_path / "gradients.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    spectrum = {"step": 4, "norm": {"core.weight_hh_l0 i": 1.25}, "radius": {}}
    (tmp_path / "spectrum.jsonl").write_text(json.dumps(spectrum) + "\n")
    said = summary(inspect_model(made(), TEXT, run=tmp_path))
    assert "update 1 and update 3" in said and re.search(r"layer 1, forwards +0.25 +0.75\n", said)
    assert re.search(r"core.weight_hh_l0 i +1.25 +1.25\n", said)
    monkeypatch.chdir(tmp_path)  # another model's folder
    found = inspect_model(made(), TEXT)
    assert found.recorded_gradients is None and "without a folder" in found.left_out["recorded_gradients"]


def test_unknown_symbols_are_counted(made):
    found = inspect_model(made(), "He 日本 said")
    assert found.unknown == 2 and "10 symbols, 2 of them unknown to the model" in summary(found)
    assert "2 of them unknown" in page(found)


def test_few_symbols_track_nothing(made):
    found = inspect_model(made(), TEXT)
    assert set(found.trackers) == {"changing"} and not found.tested
    assert f"{len(TEXT)} symbols are too few to tell" in found.left_out["units that track"]


def test_units_are_tested_over_more_text_and_shown_over_the_one_looked_at(made, monkeypatch):
    monkeypatch.setattr("recurra.diagnostics.tracking.LEVEL", 0.9)  # so that random weights name some
    found = inspect_model(made(), TEXT, more=[TEXT * 5] * 2)
    assert set(found.tested) == {"quotes", "line", "nesting"}
    for prop, tested in found.tested.items():
        assert tested.symbols == 10 * len(TEXT) and tested.units == 24  # h and c of 6 units in 2 layers
        assert [unit.unit for unit in found.trackers.get(prop, ())] == [unit.unit for unit in tested.trackers]
        for unit in found.trackers.get(prop, ()):
            assert abs(unit.r) > tested.threshold
            assert np.allclose(unit.values, found.gates.find(unit.state, unit.layer).values[:, unit.unit])
    assert any(tested.beyond for tested in found.tested.values())
    said, written = summary(found), page(found)
    assert f"Tested over {10 * len(TEXT)} symbols" in said and "divided by the 3 properties" in written
    again = json.loads(json.dumps(found.as_json()))["tested"]["line"]
    assert len(again["trackers"]) == len(found.tested["line"].trackers)


def test_a_decoder_that_is_not_looked_into_is_told(made):
    found = inspect_model(made("transduce"), ["the", "fox", "jumps"])
    assert "what reads the source" in summary(found) and found.next_symbols


def test_a_text_without_a_token_is_refused(made):
    with pytest.raises(DataError, match="there is nothing to look at"):
        inspect_model(made(), "")


def drawn(figure: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", figure, re.S)
    assert found is not None
    return ElementTree.fromstring(found.group())


def test_a_line_goes_where_its_values_are():
    svg = drawn(line_chart([Line("a", np.array([1.0, 0.1, np.nan, 0.01]))], "lag", "norm", log=True))
    (line,) = (each for each in svg.iter("path") if each.get("class", "").startswith("line"))
    path = line.get("d", "")
    assert path.count("M") == 2 and path.count("L") == 1
    numbers = [float(each) for each in re.findall(r"[-\d.]+", path)]
    ys = numbers[1::2]
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2)


def test_nothing_to_draw_is_said():
    assert "nothing to draw" in line_chart([Line("a", np.zeros(3))], "lag", "norm", log=True)


def test_bars_count_and_a_map_names_its_cells():
    assert [t.text for t in drawn(bars(["a", "b"], [3, 7], "x", "y")).iter("text")][:4] == ["3", "a", "7", "b"]
    weights = np.array([[0.25, 0.75]])
    titles = [t.text for t in drawn(heat_map(["<r>"], ["x", "y"], weights, "map")).iter("title")]
    assert titles == ["<r> → x: 0.250", "<r> → y: 0.750"]
    shades = list(drawn(heat_map(["r"], ["x", "y"], weights, "map", titled=False)).iter("path"))
    assert len(shades) == 2


def test_points_that_lie_together_are_one_larger_dot():
    svg = drawn(scatter(np.array([1.0, 1.0, 3.0]), np.array([2.0, 2.0, 3.0]), "true", "said", "<x>"))
    dots = {
        (float(d.get("cx")), float(d.get("cy"))): float(d.get("r")) for d in svg.iter() if d.get("class") == "point"
    }
    (one, r), (other, s) = sorted(dots.items())
    assert len(dots) == 2 and one[0] < other[0] and one[1] > other[1] and r**2 == pytest.approx(2 * s**2, rel=0.1)
    line = next(d for d in svg.iter() if "dashed" in d.get("class", ""))
    ends = [float(each) for each in re.findall(r"[0-9.]+", line.get("d"))]
    assert other == (pytest.approx(ends[2], abs=0.1), pytest.approx(ends[3], abs=0.1))  # where both agree
    assert drawn(scatter(np.array([2.0]), np.array([2.0]), "true", "said", "")) is not None


def test_the_plane_has_a_unit_circle():
    svg = drawn(plane(np.array([2.0 + 0j, 1j]), "W"))
    (circle,) = svg.iter("circle")
    assert float(circle.get("r", "0")) == pytest.approx(100 / 2.1, abs=0.1)


def test_symbols_are_seen():
    assert [visible(token) for token in (" ", "\n", "a b", "\u202e", "")] == ["␣", "⏎", "a b", "\\u202e", "∅"]
    assert escaped("<b>&") == "&lt;b&gt;&amp;"
    assert cut("Donaudampfschifffahrt", 6) == "Donau…"
