"""What is said of a picture, word by word where each looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.answers.pair import DIGITS, Pair
from recurra.answers.picture import packed
from recurra.errors import ConfigError
from recurra.figures.drawing import file_of
from recurra.figures.looks import looks


@dataclass(frozen=True)
class Caption:
    """The hypotheses for a picture, as a pair has them; and where attention was asked for the picture as it was read,
    and its regions."""

    kind: ClassVar[str] = "caption"
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    pair: Pair
    """Its source is where the picture comes from; its attention, of each word at each region, row by row."""
    picture: NDArray[np.uint8] | None = field(default=None, compare=False)
    """[H, W, 3]."""
    regions: tuple[int, int] | None = None
    """(rows, columns)."""

    @classmethod
    def notes(cls, parts: Sequence[Caption]) -> list[str]:
        """What there is to say of several, as of pairs."""
        return Pair.notes([part.pair for part in parts])

    def json(self) -> dict[str, Any]:
        """As a pair's; "regions", [rows, columns], where "attention" is there: [words and the end][rows · columns]."""
        found = {name: value for name, value in self.pair.json().items() if name not in ("unknown_source", "aligned")}
        found.pop("source_tokens", None)
        return found if self.regions is None else {**found, "regions": list(self.regions)}

    def text(self) -> str:
        return self.pair.text()

    def page(self) -> dict[str, Any]:
        found = self.pair.page()
        kept = {name: found[name] for name in ("target", "ended", "hypotheses", "map_left_out")}
        if self.picture is None or self.regions is None or self.pair.attention is None:
            return {**kept, "looks": None}
        weights = [[round(weight, DIGITS) for weight in row] for row in self._weights.tolist()]
        seen = {"shape": list(self.picture.shape), "pixels": packed(self.picture)}
        return {**kept, "looks": {**seen, "words": self.words, "regions": list(self.regions), "weights": weights}}

    @property
    def words(self) -> list[str]:
        """The words of the best, as they are numbered."""
        return list(self.pair.best.target_tokens or ())

    @property
    def _weights(self) -> NDArray[np.float64]:
        """Of each word; the end, which is none, is left out."""
        return np.asarray(self.pair.attention, np.float64)[: len(self.words)]

    def saved(self, ending: str) -> bytes:
        """The picture with what each word of the caption looks at, as SVG. Raises `ConfigError` where nobody asked for
        that."""
        if self.picture is None or self.regions is None or self.pair.attention is None:
            raise ConfigError("a picture of a caption shows where its words look. Ask for that, too: --attention")
        return file_of(looks(self.picture, self.words, self._weights, self.regions, self.pair.best.target))
