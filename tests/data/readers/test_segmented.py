"""Words as tags of their characters."""

from __future__ import annotations

import random

import pytest

from recurra.data.readers.conllu import ConlluReader
from recurra.data.readers.segmented import SegmentedReader, characters
from recurra.data.spans import spans
from recurra.errors import DataError


def test_characters_say_where_in_their_word_they_are() -> None:
    assert characters(["我", "爱", "北京", "天安门"]) == {
        "tokens": list("我爱北京天安门"),
        "tags": ["S", "S", "B", "E", "B", "M", "E"],
    }


def test_the_spans_of_the_tags_are_the_words() -> None:
    random.seed(0)
    for _ in range(200):
        words = ["".join(random.choices("天地人", k=random.randint(1, 5))) for _ in range(random.randint(1, 9))]
        example = characters(words)
        assert ["".join(example["tokens"][a:b]) for _, a, b in spans(example["tags"])] == words


def test_lines_are_read_and_blank_ones_left_out(tmp_path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("我 爱  北京\n\n天安门\n", encoding="utf-8")
    first, second = SegmentedReader().read(file)
    assert (first["tokens"], first["tags"]) == (list("我爱北京"), ["S", "S", "B", "E"])
    assert (second["tags"], second["place"]) == (["B", "M", "E"], f"{file}:3")
    assert SegmentedReader().sniff(file) is None


def test_a_file_of_blank_lines_is_refused(tmp_path) -> None:
    file = tmp_path / "words.txt"
    file.write_text(" \n\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected lines of words parted by blanks"):
        list(SegmentedReader().read(file))


def test_a_file_that_is_not_parted_is_refused(tmp_path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("我\u3000爱\u3000北京\n天安门\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"words.txt: each line is one word, expected words parted by spaces or tabs"):
        list(SegmentedReader().read(file))


def test_a_treebank_is_read_as_segments(tmp_path) -> None:
    file = tmp_path / "bank.conllu"
    rows = [f"{k}\t{form}" + "\t_" * 8 for k, form in enumerate(["然而", "，", "這樣"], 1)]
    file.write_text("\n".join(rows) + "\n\n", encoding="utf-8")
    (example,) = ConlluReader(tag="segments").read(file)
    assert (example["tokens"], example["tags"]) == (list("然而，這樣"), ["B", "E", "S", "B", "E"])
    assert example["place"] == f"{file}:1"
