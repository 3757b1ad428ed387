"""Each kind of part shows itself in a terminal, as JSON and to the page."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from recurra.answers import (
    KINDS,
    Answer,
    Blank,
    Caption,
    Choices,
    Drawing,
    Hypothesis,
    Label,
    Number,
    Pair,
    Picture,
    Roll,
    Series,
    Spans,
    Text,
    Transcript,
    Tree,
    Unknown,
    notes_of,
)
from recurra.answers.notes import NOTHING
from recurra.errors import ConfigError

GREY = np.linspace(0, 1, 32).reshape(4, 8)
TREE = Tree("S", (Tree("NP", (Tree("D", token="the"), Tree("N", token="fox", p=0.5))), Tree("V", token="jumps")))
PARTS: dict[str, Any] = {
    "label": Label(("flight",), likeliest=(("flight", 0.75), ("fare", 0.25)), tokens=("to", "Rome")),
    "spans": Spans(("to", "New", "York"), ("O", "B-city", "I-city"), p=(0.9, 0.8, 0.7)),
    "text": Text("the ", "fox jumps"),
    "pair": Pair("ein Hund", (Hypothesis("a dog", log_p=-0.5),)),
    "choices": Choices(
        ("the", "___", "jumps"), (Blank(1, {"both": [("fox", 0.5), ("dog", 0.25)]}),), unknown=("xyzzy",)
    ),
    "number": Number(3.25, "load", "kW", low=3.0, high=3.5),
    "series": Series([1.0, 2.0, 4.0], np.array([8.0, 16.0]), low=[7, 12], high=[9, 20], name="load", unit="kW"),
    "picture": Picture(GREY, "a house number", frames=(GREY[:, :4], GREY)),
    "drawing": Drawing(np.array([[5.0, 0, 0], [0, 5, 1], [2, 2, 0], [5, 5, 1]]), given=2),
    "roll": Roll(("C4", "E4", "G4"), [[0], [0, 2], [2]], given=2, seconds=0.25),
    "tree": TREE,
    "transcript": Transcript(
        "go", 0.9, "a.wav", [{"symbol": "g", "begin": 0.0, "end": 0.1, "p": 0.8}], "s", [("no", -1.5)]
    ),
    "caption": Caption(
        Pair(
            "a.jpg",
            (Hypothesis("a dog.", target_tokens=("a", "dog", "."), alignment=(0, 1, 1)),),
            attention=[[1.0, 0.0], [0.25, 0.75], [0.5, 0.5], [0.9, 0.1]],
        ),
        np.full((4, 4, 3), 51, np.uint8),
        (1, 2),
    ),
}


def test_there_is_a_part_of_every_kind() -> None:
    assert list(PARTS) == list(KINDS) and all(part.kind == kind for kind, part in PARTS.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_shows_itself_in_all_three_ways(kind: str) -> None:
    answer = Answer((PARTS[kind],))
    written = json.loads(json.dumps(answer.json(), allow_nan=False))
    assert dict(answer) == answer.json() and written.keys() == answer.json().keys() != set()
    (page,) = answer.page()
    assert page["kind"] == kind and json.loads(json.dumps(page, allow_nan=False)) == page
    assert answer.text().strip()


def test_a_mapping_over_its_json() -> None:
    answer = Answer((PARTS["label"], PARTS["spans"]))
    assert (answer["label"], answer["tags"]) == ("flight", ["O", "B-city", "I-city"])
    assert set(answer) == set(answer.json()) and len(answer) == len(answer.json())
    with pytest.raises(KeyError):
        answer["target"]


def test_what_the_json_of_numbers_holds() -> None:
    assert PARTS["number"].json() == {"load": 3.25, "low": 3.0, "high": 3.5, "unit": "kW"}
    forecast = {"given": [1, 2, 4], "forecast": [8, 16], "low": [7, 12], "high": [9, 20], "unit": "kW"}
    assert PARTS["series"].json() == {"load": forecast}
    assert Series([1.0, np.nan], [2.0]).json()["given"] == [1.0, None] == Series([1.0, np.nan], []).page()["given"]
    assert PARTS["roll"].json() == {
        "rows": ["C4", "E4", "G4"],
        "steps": [[0], [0, 2], [2]],
        "given": 2,
        "seconds": 0.25,
    }
    assert np.allclose(PARTS["picture"].json()["picture"], GREY, atol=1e-4)


def test_of_a_long_forecast_a_terminal_shows_both_ends() -> None:
    lines = Series([0.0], np.arange(150.0)).text().splitlines()
    assert len(lines[0]) == 1 + 1 + 50  # every third of them as a bar
    assert [line.split("\t")[0] for line in lines[1:7]] == [f"+{k}" for k in range(1, 7)]
    assert lines[7] == "… 138 steps between; all of them as JSON"
    assert [line.split("\t")[0] for line in lines[8:]] == [f"+{k}" for k in range(145, 151)]


def test_a_series_in_a_terminal() -> None:
    lines = PARTS["series"].text().splitlines()
    assert lines[0] == "load [kW]" and lines[1] == "▁▁▂│▄█"
    assert lines[2:4] == ["+1\t8\t7 to 9", "+2\t16\t12 to 20"]
    assert "▁ █│" in Series([0.0, np.nan, 1.0], []).text()
    assert Series([np.nan], []).text().strip() == "│" and "▁▁│▁" in Series([2.0, 2.0], [2.0]).text()


def test_a_series_beside_what_was_measured() -> None:
    """Both in bars of one scale, the second below the first."""
    part = Series([0.0, 1.0], [2.0, 7.0], truth=[3.0, np.nan], name="level")
    assert part.json()["level"] == {
        "given": [0.0, 1.0],
        "forecast": [2.0, 7.0],
        "low": None,
        "high": None,
        "truth": [3.0, None],
        "unit": "",
    }
    lines = part.text().splitlines()
    assert lines[1:3] == ["▁▂│▃█", "  │▄  measured"] and lines[3] == "+1\t2\tmeasured 3"
    assert "truth" not in PARTS["series"].page() and part.page()["truth"] == [3.0, None]


def test_a_roll_in_a_terminal_shows_the_rows_that_sound() -> None:
    assert PARTS["roll"].text().splitlines() == ["G4 ·▒█", "C4 ▒▒·"]


def test_a_tree_in_a_terminal() -> None:
    assert TREE.text().splitlines() == ["S", "  NP", "    D the", "    N fox", "  V jumps"]
    assert TREE.json()["tree"]["children"][0]["children"][1] == {"label": "N", "p": 0.5, "token": "fox"}


def test_a_picture_in_a_terminal_and_its_bytes() -> None:
    caption, *rows = PARTS["picture"].text().splitlines()
    assert (caption, rows) == ("a house number", ["░" * 8, "▓" * 8])
    page = PARTS["picture"].page()
    assert list(base64.b64decode(page["pixels"])) == (GREY.ravel() * 255).round().astype(int).tolist()
    assert page["shape"] == [4, 8] and len(page["frames"]) == 2
    coloured = Picture(np.stack([GREY] * 3, 2))
    assert coloured.text() == "\n".join(rows) and len(base64.b64decode(coloured.page()["pixels"])) == 96
    assert set(base64.b64decode(Picture(np.array([[np.nan, 2.0, -1.0]])).page()["pixels"])) == {0, 255}


def test_what_there_is_to_say_of_several_answers() -> None:
    blank = Choices(("xyzzy", "___"), (Blank(1, {"both": [("fox", 0.5)]}),))
    cut = Pair("a", (Hypothesis("b", ended=False),), cut_at="after 9 symbols")
    unknown = [Unknown(symbol, k) for k, symbol in enumerate("abcdefg")]
    some = [Answer((blank,), unknown=(Unknown("xyzzy", 0),)), Answer(()), Answer((cut,), unknown=tuple(unknown))]
    assert notes_of(some, "line") == [
        "line 2 is empty, so nothing is answered.",
        "the run does not know 'xyzzy' (line 1, token 1), 'a' (line 3, token 1), 'b' (line 3, token 2), "
        "'c' (line 3, token 3), 'd' (line 3, token 4), ….",
        "1 of 1 target cut off without an end, after 9 symbols.",
    ]
    assert notes_of([Answer(())]) == [NOTHING] and notes_of([Answer(())] * 2) == [f"inputs 1, 2 are {NOTHING[13:]}"]
    assert notes_of([Answer(())] * 2, copies=2) == [NOTHING] and Answer(())["notes"] == [NOTHING]
    found = Answer((cut,), unknown=(Unknown("a" * 99, 3, "word"),))
    assert (found["unknown"], found["unknown_places"]) == (["a" * 99], [3]) and "notes" not in found
    assert notes_of([found])[0] == f"the run does not know '{'a' * 40}…' (word 4)."


def test_a_caption_shows_the_words_that_are_none_of_the_end() -> None:
    part = PARTS["caption"]
    found = part.json()
    assert found["target"] == "a dog." and found["regions"] == [1, 2] and len(found["attention"]) == 4
    assert "unknown_source" not in found and "source_tokens" not in found and found["alignment"] == [0, 1, 1]
    seen = part.page()["looks"]
    assert seen["words"] == ["a", "dog", "."] and seen["weights"] == [[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]
    assert base64.b64decode(seen["pixels"]) == bytes([51]) * 48
    svg = part.saved(".svg").decode()
    assert svg.count("<use ") == 4 and svg.count("<rect x=") == 2  # what is looked at most is not dark
    bare = Caption(part.pair)
    assert bare.page()["looks"] is None and "regions" not in bare.json()
    with pytest.raises(ConfigError, match="Ask for that, too: --attention"):
        bare.saved(".svg")
