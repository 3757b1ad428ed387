"""Trees in brackets with a class at each node, as the Stanford Sentiment Treebank has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from recurra.data.files import check_encoding, head_lines, nearly_all, read_lines, shortened, some
from recurra.data.sample import Sample
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

_PIECE = re.compile(r"[()]|[^() \t]+")
_FIVE = {str(label): str(label) for label in range(5)}
_TWO = {"0": "negative", "1": "negative", "3": "positive", "4": "positive"}
_ESCAPED = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


class Phrase(NamedTuple):
    """A node of a tree: its label, and the words `start` to `end` (not included) below it."""

    label: str
    start: int
    end: int


@part("reader", "trees")
class TreesReader:
    """One example a tree, one tree a line: its words as `tokens`, the root's `label`, and its `place`.

    A tree is `(3 (2 It) (4 (2 's) (4 good)))`, with a label 0 (very negative) to 4 (very positive) at each node. The
    treebank's `-LRB-`, `\\/` and the like become the characters they stand for. `classes` "two" leaves 2 (neutral) out
    and calls the rest "negative" and "positive". With `phrases` every node is an example, the whole tree first, and
    those below the root have `"phrase": "inner"`, since scores are for whole trees.

    With `nodes` an example has its tree: "tree", the number of its words, then the number of each node's parent, the
    words first and -1 for the root; and "node_labels", the label of each, None where it has none of the `classes`. A
    bracket around one word alone is that word's node.

    Raises `DataError` for brackets that do not match, words outside them, and another label.

    Socher et al., "Recursive Deep Models for Semantic Compositionality Over a Sentiment Treebank", EMNLP 2013.
    """

    recipe = "classifier"
    fields: ClassVar[Mapping[str, str]] = {
        "tokens": "tokens",
        "label": "label",
        "tree": "tree",
        "node_labels": "node-labels",
    }
    sample: ClassVar[Sample] = Sample({"a": "(3 (2 Ít) (4 works))\n"}, 1)

    def __init__(
        self,
        encoding: str = "utf-8",
        classes: Literal["five", "two"] = "five",
        phrases: bool = False,
        nodes: bool = False,
    ) -> None:
        if phrases and nodes:
            raise ConfigError(
                "reader.phrases makes an example of every phrase, reader.nodes keeps them in their tree. Set one of "
                "them to false."
            )
        self.nodes = nodes
        self.encoding = check_encoding(encoding)
        self.classes = _FIVE if classes == "five" else _TWO
        self.phrases = phrases

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The trees of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "a labelled tree a line")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its lines are no trees labelled 0 to 4."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        trees = (bool(re.match(r"\s*\([0-4] ", line)) for line in lines)
        return "a labelled tree a line" if nearly_all(trees) else None

    def _examples(self, path: Path) -> Iterator[Example]:
        trees = given = 0
        for number, line in read_lines(path, self.encoding):
            if not line.strip():
                continue
            trees += 1
            place = f"{path}:{number}"
            words, phrases = parse(line, place)
            for k, phrase in enumerate(phrases if self.phrases else phrases[:1]):
                if phrase.label in self.classes:
                    given += 1
                    example: dict[str, Any] = {
                        "tokens": words[phrase.start : phrase.end],
                        "label": self.classes[phrase.label],
                        "place": place,
                    }
                    if self.nodes:
                        parents, labels = nodes_of(words, phrases)
                        example["tree"] = [len(words), *parents]
                        example["node_labels"] = [self.classes.get(label or "") for label in labels]
                    yield example | {"phrase": "inner"} if k else example
        if trees and not given:
            raise DataError(
                f"{path}: no tree in it is labelled {' '.join(self.classes)}, expected some that are. For all five "
                "labels: --set reader.classes=five"
            )


def parse(line: str, place: str, asked: bool = False) -> tuple[list[str], list[Phrase]]:
    """The words of a tree in brackets, and its phrases, each before those inside it. Raises `DataError`.

    One that is `asked` for its labels may be without any, `((It) (works))`, or with others: what stands first in a
    bracket is a label where more follows.
    """
    words: list[str] = []
    phrases: list[Phrase | None] = []
    unclosed: list[tuple[int, str, int]] = []  # number of the phrase, its label, the number of its first word
    found = _PIECE.findall(line)
    pieces = iter(enumerate(found))
    for k, piece in pieces:
        if piece != "(" and not unclosed:
            what = "a ')' too many" if piece == ")" else f"{shortened(piece)} outside of all brackets"
            raise DataError(f"{place}: {what}, expected one tree like (3 (2 It) (4 works)) in a line. Mend this line.")
        if piece == "(":
            if phrases and not unclosed:
                raise DataError(f"{place}: a second tree, expected one in a line. Put it into a line of its own.")
            if asked and (found[k + 1 : k + 2] in (["("], [")"]) or found[k + 2 : k + 3] == [")"]):
                unclosed.append((len(phrases), "", len(words)))
                phrases.append(None)
                continue
            label = next(pieces, (0, "the line's end"))[1]
            if label not in _FIVE and not asked:
                raise DataError(f"{place}: {shortened(label)} after '(', expected a label 0 to 4. Mend this line.")
            unclosed.append((len(phrases), label, len(words)))
            phrases.append(None)
        elif piece == ")":
            number, label, start = unclosed.pop()
            if start == len(words):
                raise DataError(f"{place}: no word in ({label}), expected one at least. Mend this line.")
            phrases[number] = Phrase(label, start, len(words))
        else:
            words.append(_ESCAPED.get(piece) or piece.replace("\\/", "/").replace("\\*", "*"))
    if unclosed:
        raise DataError(
            f"{place}: {len(unclosed)} '(' without ')', expected one whole tree in a line. Mend this line, or put a "
            "tree that goes over several lines into one."
        )
    return words, [phrase for phrase in phrases if phrase is not None]


def nodes_of(words: Sequence[str], phrases: Sequence[Phrase]) -> tuple[list[int], list[str | None]]:
    """The number of each node's parent, -1 at the root, and its label: of the words, then of longer phrases; `phrases`
    as `parse` gives them."""
    parents = [-1] * len(words)
    labels: list[str | None] = [None] * len(words)
    above: list[tuple[int, int]] = []  # end and number of the phrases around a word, the innermost last
    k = 0
    for word in range(len(words)):
        while above and above[-1][0] <= word:
            above.pop()
        own = False
        while k < len(phrases) and phrases[k].start == word:
            phrase, k = phrases[k], k + 1
            parent = above[-1][1] if above else -1
            own = phrase.end == word + 1 and (k == len(phrases) or phrases[k].start != word)
            if own:
                parents[word], labels[word] = parent, phrase.label
            else:
                above.append((phrase.end, len(parents)))
                parents.append(parent)
                labels.append(phrase.label)
        if not own:
            parents[word] = above[-1][1]
    return parents, labels
