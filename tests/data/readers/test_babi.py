"""Stories with questions: what each question is given, and every broken file with its message."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

import pytest

from recurra.config import Data
from recurra.data.fields import Codecs
from recurra.data.readers.babi import StoryReader
from recurra.data.sets import find_set, set_reader
from recurra.data.shuffled import gather
from recurra.data.shuffled import read as read_whole
from recurra.errors import DataError
from recurra.registry import construct
from recurra.types import Field

DATA = os.environ.get("RECURRA_DATA", "")
STORIES = (
    "1 Mary moved to the bathroom.",
    "2 John went back.",
    "3 Where is Mary? \tbathroom\t1",
    "4 Where's John?\tnowhere",
    "5 Mary left.",
    "6 What does Mary hold?\tapple,milk\t1 5",
    "1 Is it?\tyes\t",
)


def read(folder: Path, *lines: str, **settings: Any) -> list[Any]:
    path = folder / "qa_train.txt"
    path.write_bytes("\n".join(lines).encode())
    return list(StoryReader(**settings).read(path))


def sentences(example: dict[str, Any]) -> list[str]:
    """The tokens of each segment, parted by spaces."""
    found: list[list[str]] = [[] for _ in range(max(example["segments"]) + 1)]
    for token, segment in zip(example["tokens"], example["segments"], strict=True):
        found[segment].append(token)
    return [" ".join(tokens) for tokens in found]


def test_every_question_has_its_story_so_far(tmp_path: Path) -> None:
    found = read(tmp_path, *STORIES)
    first, second, third = "Mary moved to the bathroom .", "John went back .", "Mary left ."
    assert [sentences(example) for example in found] == [
        [first, second, "Where is Mary ?"],
        [first, second, "Where's John ?"],
        [first, second, third, "What does Mary hold ?"],
        ["Is it ?"],
    ]
    assert [example["label"] for example in found] == ["bathroom", "nowhere", "apple,milk", "yes"]
    assert [example["story"] for example in found] == [1, 1, 1, 2]
    assert [example["place"] for example in found] == [f"{tmp_path / 'qa_train.txt'}:{n}" for n in (3, 4, 6, 7)]
    assert all(example["segments"] == sorted(example["segments"]) for example in found)


def test_lower_case_leaves_answers_alone(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "1 Ann saw Bo.", "2 Who saw Bo?\tAnn", lower=True)
    assert sentences(found) == ["ann saw bo .", "who saw bo ?"] and found["label"] == "Ann"


def test_blank_lines_and_packed_files(tmp_path: Path) -> None:
    path = tmp_path / "qa.txt.gz"
    path.write_bytes(gzip.compress("\n".join(["", *STORIES[:2], "  ", *STORIES[2:], ""]).encode()))
    examples = list(StoryReader().read(path, path))
    assert [example["label"] for example in examples] == ["bathroom", "nowhere", "apple,milk", "yes"] * 2
    assert examples[0]["place"].endswith("qa.txt.gz:5"), "lines are counted as they stand in the file"


def test_questions_of_one_story_stay_in_one_part(tmp_path: Path) -> None:
    path = tmp_path / "qa.txt"
    story = "1 Ann left {0}.\n2 Who left {0}?\tAnn\n3 Bo left.\n4 Who left?\tBo\n5 Who left {0}?\tAnn\n"
    path.write_text("".join(story.format(f"place{k}") for k in range(40)))
    parts = gather(Data(train=(str(path),), valid_fraction=0.2, test_fraction=0.1), StoryReader())
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [84, 24, 12]
    stories = [{example["story"] for example in part} for part in (parts.train, parts.valid, parts.test)]
    assert [len(each) for each in stories] == [28, 8, 4] and len(set.union(*stories)) == 40
    said = (
        "cut 40 stories, each with its questions, shuffled with seed 0, into train 28 (70.0%), valid 8 (20.0%), test 4"
    )
    assert parts.split.startswith(said)
    assert len(read_whole([path], StoryReader())) == 120
    moved = path.rename(tmp_path / "elsewhere.txt")
    again = gather(Data(train=(str(moved),), valid_fraction=0.2, test_fraction=0.1), StoryReader())
    assert again.fingerprint == parts.fingerprint, "a run goes on where its file was moved"


BROKEN: dict[str, tuple[tuple[str, ...], str]] = {
    "no number": (
        ("1 Ann left.", "Bo left."),
        ":2: 'Bo left.', expected a number and a sentence, like '1 Mary moved to the bathroom.' Lines are numbered "
        "from 1 in each story.",
    ),
    "a number alone": (("1 Ann left.", "2 "), ":2: '2 ', expected a number and a sentence, "),
    "a question without words": (("1 Ann left.", "2 \tyes"), ":2: '2 ', expected a number and a sentence, "),
    "a line is missing": (
        ("1 Ann left.", "3 Bo left."),
        ":2: line number 3, expected 2, or 1 for the next story. Is a line missing before it?",
    ),
    "no beginning": (("2 Ann left.",), ":1: line number 2, expected 1, with which a story begins. Is a line missing"),
    "no answer": (
        ("1 Who left? \t \t1",),
        ":1: no answer behind the question, expected question<TAB>answer. Write one there.",
    ),
    "too many columns": (
        ("1 Who left?\ta\t1\t2",),
        ":1: 4 columns, expected 2 or 3: question, answer, supporting lines. Is there a tab inside the answer?",
    ),
    "no question": (("1 Ann left.",), ": no example in it, expected numbered lines, some of them question<TAB>answer."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_name_path_line_and_next_move(tmp_path: Path, kind: str) -> None:
    lines, message = BROKEN[kind]
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'qa_train.txt') + message)}"):
        read(tmp_path, *lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(STORIES), "numbered lines, 4 questions with an answer in the first 7"),
        ("1 Ann left.\n2 Bo left.\n", None),
        ("2 Ann left.\n3 Who?\tAnn\n", None),
        ("1 a\tb\n2 c\td\n", None),
        ("x\ta\ny\tb\n", None),
        ("", None),
    ],
)
def test_sniff(tmp_path: Path, text: str, reason: str | None) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    assert construct("reader", {"kind": "stories"}).sniff(path) == reason


def test_segments_are_encoded(tmp_path: Path) -> None:
    examples = read(tmp_path, *STORIES)
    fields = {
        "input": Field(("tokens",), {"kind": "tokens"}),
        "label": Field(("label",), {"kind": "label"}, learned=True),
        "segments": Field(("segments",), {"kind": "integers"}, along=True),
    }
    encoder = Codecs(fields).fit(examples)
    for example in examples:
        encoded = encoder.encode(example)
        assert encoded["segments"].tolist() == example["segments"] and encoded["segments"].dtype == "int64"
    with pytest.raises(
        DataError, match=r"^here:1: 1 segments, expected one for each of 2 tokens\. Is the text split in"
    ):
        encoder.encode({"tokens": ["a", "b"], "segments": [0], "place": "here:1"})


@pytest.mark.skipif(not DATA, reason="RECURRA_DATA names no folder of data sets")
@pytest.mark.parametrize("number", range(1, 21))
def test_the_twenty_tasks(number: int) -> None:
    found = find_set(f"babi-qa{number}")
    assert set_reader(f"babi-qa{number}") == {"kind": "stories"}
    for sources in (found.train, found.test):
        (path,) = sources
        assert isinstance(path, Path) and re.search(rf"/qa{number}_", str(path))
        assert StoryReader().sniff(path)
        examples = list(StoryReader().read(path))
        assert len(examples) == 1000
        assert all(example["tokens"][-1] == "?" and example["label"] for example in examples)


def test_a_line_number_beyond_all_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("9" * 5000 + " Mary went home.\n")
    with pytest.raises(DataError, match=r"a:1: .*expected a number and a sentence"):
        list(StoryReader().read(tmp_path / "a"))
