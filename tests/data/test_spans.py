"""Tag schemes: spans as seqeval and conlleval read them, ways between the schemes, and what is no scheme."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.spans import Scheme, Span, convert, detect, faults, spans

SCHEMES: list[Scheme] = ["bio", "iob1", "bioes", "bmes"]


def random_tags(letters: str, count: int, seed: int) -> Iterator[list[str]]:
    """Sentences of tags drawn without regard to any scheme."""
    draw = random.Random(seed)
    for _ in range(count):
        yield [
            "O" if (letter := draw.choice(letters)) == "O" else f"{letter}-{draw.choice(['LOC', 'PER', 'x.y-z'])}"
            for _ in range(draw.randrange(12))
        ]


@pytest.mark.parametrize("letters", ["OBI", "OOI", "OBIES", "BIES", "IES"])
def test_spans_are_seqeval_s(letters: str) -> None:
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    for tags in random_tags(letters, 3000, seed=len(letters)):
        assert [(t, a, b - 1) for t, a, b in spans(tags)] == labelling.get_entities(tags)


@pytest.mark.parametrize("scheme", ["IOB2", "IOBES"])
def test_well_formed_spans_are_seqeval_s_strict_ones(scheme: str) -> None:
    entities = pytest.importorskip("seqeval.scheme")
    ours: Scheme = "bio" if scheme == "IOB2" else "bioes"
    for tags in random_tags("OBIES", 500, seed=5):
        tags = convert(tags, "bioes", ours)
        (found,) = entities.Entities([tags], getattr(entities, scheme)).entities
        assert [(e.tag, e.start, e.end) for e in found] == spans(tags)


CONLLEVAL: list[tuple[str, list[Span]]] = [
    ("", []),
    ("O O", []),
    ("B-A I-A O B-A", [("A", 0, 2), ("A", 3, 4)]),
    ("B-A B-A I-A", [("A", 0, 1), ("A", 1, 3)]),
    ("O I-A I-A", [("A", 1, 3)]),  # I begins one after O
    ("I-A I-B", [("A", 0, 1), ("B", 1, 2)]),  # and where the type changes
    ("B-A I-B I-B O", [("A", 0, 1), ("B", 1, 3)]),
    ("I-A B-A I-B", [("A", 0, 1), ("A", 1, 2), ("B", 2, 3)]),
    ("I-A O I-A", [("A", 0, 1), ("A", 2, 3)]),
    ("B-A I-A E-A E-A", [("A", 0, 3), ("A", 3, 4)]),
    ("B-A E-A I-A", [("A", 0, 2), ("A", 2, 3)]),
    ("E-A O E-B E-A", [("A", 0, 1), ("B", 2, 3), ("A", 3, 4)]),
    ("B-A O I-A E-A", [("A", 0, 1), ("A", 2, 4)]),
    ("S-A S-A I-A", [("A", 0, 1), ("A", 1, 2), ("A", 2, 3)]),
    ("B-A M-A M-A E-A S-A", [("A", 0, 4), ("A", 4, 5)]),
    ("M-A M-A B-A M-B", [("A", 0, 2), ("A", 2, 3), ("B", 3, 4)]),
    ("B I O B B", [("", 0, 2), ("", 3, 4), ("", 4, 5)]),  # letters without a type
    ("B E S B M E", [("", 0, 2), ("", 2, 3), ("", 3, 6)]),
    ("B-A I-A L-A U-A U-A", [("A", 0, 3), ("A", 3, 4), ("A", 4, 5)]),  # BILOU
    ("A A O A X-B X-B", [("A", 0, 2), ("A", 3, 4), ("X-B", 4, 6)]),  # no letters at all
    ("B-fromloc.city_name I-fromloc.city_name B-a-b I-a-b", [("fromloc.city_name", 0, 2), ("a-b", 2, 4)]),
]


@pytest.mark.parametrize(("tags", "expected"), CONLLEVAL)
def test_spans_by_hand(tags: str, expected: list[Span]) -> None:
    assert spans(tags.split()) == expected


@st.composite
def sentences_of_spans(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, some of them side by side, and the sentence's length."""
    found, end = [], 0
    for gap, size in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=6)):
        begin = end + gap
        end = begin + size
        found.append((draw(st.sampled_from(["PER", "x.y-z", ""])), begin, end))
    return found, end + draw(st.integers(0, 2))


def written(found: list[Span], length: int) -> list[str]:
    """Spans as BIO, by the definition."""
    tags = ["O"] * length
    for type_, begin, end in found:
        for k in range(begin, end):
            tags[k] = ("B" if k == begin else "I") + (f"-{type_}" if type_ else "")
    return tags


@pytest.mark.parametrize("target", SCHEMES)
@given(sentence=sentences_of_spans())
def test_every_scheme_keeps_the_spans(target: Scheme, sentence: tuple[list[Span], int]) -> None:
    bio = written(*sentence)
    assert spans(bio) == sentence[0]
    there = convert(bio, "bio", target)
    assert spans(there) == sentence[0]
    assert faults(there, target) == 0
    assert convert(there, target, "bio") == bio


@pytest.mark.parametrize("target", SCHEMES)
def test_malformed_tags_become_well_formed_ones_of_the_same_spans(target: Scheme) -> None:
    for tags in random_tags("OBIESM", 500, seed=8):
        there = convert(tags, "bioes", target)
        assert spans(there) == spans(tags)
        assert faults(there, target) == 0


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("bio", "B-A I-A I-A B-A B-B O B-B I-B"),
        ("iob1", "I-A I-A I-A B-A I-B O I-B I-B"),
        ("bioes", "B-A I-A E-A S-A S-B O B-B E-B"),
        ("bmes", "B-A M-A E-A S-A S-B O B-B E-B"),
        ("none", "I-A I-A I-A B-A I-B O I-B I-B"),
    ],
)
def test_written_by_hand(target: Scheme, expected: str) -> None:
    tags = ["I-A", "I-A", "I-A", "B-A", "I-B", "O", "I-B", "I-B"]
    assert convert(tags, "iob1", target) == expected.split()


def test_tags_of_no_scheme_stay_as_they_are() -> None:
    assert convert(["NN", "B-A", "NN"], "none", "bioes") == ["NN", "B-A", "NN"]


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-A I-A O", "O O"], "bio"),
        (["O B-A"], "bio"),
        (["I-A I-A O I-B"], "iob1"),
        (["I-A B-A O", "I-B"], "iob1"),
        (["B-A I-A", "B-B I-B B-B", "O I-A"], "bio"),  # a slip of the pen
        (["I-A O I-A", "I-B B-B", "O B-A"], "iob1"),
        (["B-A E-A O", "B-A I-A E-A"], "bioes"),
        (["S-A O"], "bioes"),
        (["B-A L-A U-B"], "bioes"),
        (["B-A M-A E-A", "S-B"], "bmes"),
        (["B E S B M E"], "bmes"),
        (["DT NN", "B-A"], "none"),
        (["O O"], "none"),
        ([], "none"),
        (["B-A X-A"], "none"),
    ],
)
def test_detect(sentences: list[str], scheme: Scheme) -> None:
    assert detect(sentence.split() for sentence in sentences) == scheme


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_written_in_a_scheme_is_detected(scheme: Scheme) -> None:
    sentences = [convert(tags, "bio", scheme) for tags in random_tags("OBBIIIII", 200, seed=2)]
    assert detect(sentences) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme", "count"),
    [
        ("O I-A I-A", "bio", 1),
        ("I-A I-B O I-B", "bio", 3),
        ("B-A I-B", "bio", 1),
        ("B-A E-A NN", "bio", 2),
        ("O I-A I-A", "iob1", 0),
        ("B-A I-A B-A B-B", "iob1", 2),
        ("B-A O", "bioes", 1),  # left open
        ("B-A", "bioes", 1),
        ("B-A I-A", "bioes", 1),
        ("O E-A", "bioes", 1),
        ("B-A I-B E-B", "bioes", 1),
        ("B-A E-A I-A O", "bioes", 2),  # cannot go on, and is left open
        ("S-A E-A S-A", "bioes", 1),
        ("B-A M-A E-A", "bioes", 1),
        ("B-A M-A E-A S-A", "bmes", 0),
        ("B-A I-A E-A", "bmes", 1),
        ("DT NN I-A", "none", 0),
        ("", "bioes", 0),
    ],
)
def test_faults(tags: str, scheme: Scheme, count: int) -> None:
    assert faults(tags.split(), scheme) == count
