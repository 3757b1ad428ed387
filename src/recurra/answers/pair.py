"""A target beside its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recurra.answers.answer import one_line
from recurra.data.files import counted
from recurra.errors import ConfigError
from recurra.figures.charts import heat_map
from recurra.figures.drawing import file_of

END = "∎"
"""How the mark that ends a sequence is shown."""
UNKNOWN = "⁇"
"""What stands for a symbol that has no name."""
DIGITS = 4
"""Digits behind the point that weights of a map keep: a hundred shades can be told apart, or fewer."""
TOO_LARGE = (
    "The attention maps of a request may have no more cells than the limits in /api/models say, so this one is left "
    "out. Send a shorter input, or fewer at once."
)


@dataclass(frozen=True)
class Hypothesis:
    """One target."""

    target: str
    score: float = 0.0
    """What it was ranked by."""
    log_p: float = 0.0
    """The natural log-probability of its symbols."""
    ended: bool = True
    """Whether it ended by itself; False: it was cut at the longest length allowed."""
    unknown: int = 0
    """Its symbols that have no name and could not be copied from the source."""
    target_tokens: tuple[str, ...] | None = None
    """Its symbols, where the alignment was asked for; so are the next two."""
    alignment: tuple[int, ...] | None = None
    """For each of its symbols the place in the source that it looks at most."""
    aligned: Sequence[tuple[str, Sequence[str]]] = ()
    """Its words with the words of the source they come from."""
    beyond_cells: bool = False
    """Whether the alignment was asked for and would have been more than is computed."""

    def json(self, source_tokens: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "target": self.target,
            "score": self.score,
            "log_p": self.log_p,
            "ended": self.ended,
            "unknown_target": self.unknown,
        }
        if self.beyond_cells:
            found["beyond_cells"] = True
        if self.alignment is not None:
            found |= {
                "source_tokens": list(source_tokens),
                "target_tokens": list(self.target_tokens or ()),
                "alignment": list(self.alignment),
                "aligned": [(word, list(words)) for word, words in self.aligned],
            }
        return found


@dataclass(frozen=True)
class Pair:
    """A source and the hypotheses for its target, the best first; an empty source has an empty target."""

    kind: ClassVar[str] = "pair"
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    """Of files that it can be saved as."""
    source: Any
    """As it was given: a text or its tokens."""
    hypotheses: tuple[Hypothesis, ...]
    source_tokens: tuple[str, ...] = ()
    unknown_source: int = 0
    """Symbols of the source that the model does not know."""
    several: bool = False
    """Whether more than one hypothesis was asked for."""
    lines: tuple[str, ...] | None = None
    """The lines of a poem, which is shown line by line."""
    attention: Sequence[Sequence[float]] | None = None
    """How much each symbol of the best looks at each of the source, the end marks last."""
    cut_at: str = ""
    """Where a target that does not end is cut, in words."""
    references: Sequence[str] = ()
    """True targets, where they are shown beside it."""
    chances: bool = False
    """Whether the log-probability of each hypothesis stands beside its score."""

    @classmethod
    def notes(cls, parts: Sequence[Pair]) -> list[str]:
        """What there is to say of several: symbols without a name, cut targets."""
        target = sum(part.best.unknown for part in parts)
        cut = [part for part in parts if not part.best.ended]
        found = []
        if target:
            found.append(f"{counted(target, 'symbol')} of the output without a name, written as {UNKNOWN}.")
        if cut:
            found.append(f"{len(cut):,} of {counted(len(parts), 'target')} cut off without an end, {cut[0].cut_at}.")
        return found

    @property
    def best(self) -> Hypothesis:
        return self.hypotheses[0]

    def json(self) -> dict[str, Any]:
        found = [each.json(self.source_tokens) for each in self.hypotheses]
        if self.attention is not None:
            found[0]["attention"] = [list(row) for row in self.attention]
        best: dict[str, Any] = {"source": self.source, **found[0]}
        if self.lines is not None:
            best["lines"] = list(self.lines)
        best["unknown_source"] = self.unknown_source
        if self.several:
            best["hypotheses"] = found
        return best | ({"references": list(self.references)} if self.references else {})

    def text(self) -> str:
        """The target; of several hypotheses a line each, its score first, then, with `chances`, its log p; below each,
        where it was asked for, its words and those they come from: `Ein←A  Sonnenschirm←beach+umbrella`; a poem below
        what it was asked for by."""
        if self.references:
            return "\n".join(
                [
                    f"  {one_line(self.source)}",
                    f"→ {one_line(self.best.target)}",
                    *(f"= {one_line(each)}" for each in self.references),
                    "",
                ]
            )
        if self.lines is not None:
            others = [f"# {self._beside(one)}{one_line(one.target)}" for one in self.hypotheses[1:] if self.chances]
            head = f"\t{self.best.log_p:.4f}" if self.chances else ""
            return "\n".join([f"# {one_line(self.source)}{head}", *self.lines, *others, ""])
        lines = []
        for one in self.hypotheses:
            lines.append((self._beside(one) if self.several else "") + one_line(one.target))
            if one.aligned:
                lines.append("  ".join(f"{word}←{'+'.join(words)}" for word, words in one.aligned))
        return "\n".join([*lines, ""] if self.several else lines)

    def _beside(self, one: Hypothesis) -> str:
        """What stands before one of several hypotheses."""
        return f"{one.score:.4f}\t" + (f"{one.log_p:.4f}\t" if self.chances else "")

    def page(self) -> dict[str, Any]:
        best = self.best
        return {
            "source": self.source,
            "target": best.target,
            "lines": None if self.lines is None else list(self.lines),
            "ended": best.ended,
            "unknown": {"source": self.unknown_source, "target": best.unknown},
            "hypotheses": [{"target": one.target, "score": one.score, "log_p": one.log_p} for one in self.hypotheses]
            if self.several
            else [],
            "map": None
            if self.attention is None
            else {
                "rows": [*(best.target_tokens or ()), END],
                "columns": [*self.source_tokens, END],
                "weights": [[round(weight, DIGITS) for weight in row] for row in self.attention],
            },
            "map_left_out": TOO_LARGE if best.beyond_cells else None,
        }

    def saved(self, ending: str) -> bytes:
        """How much each symbol of the target looks at each of the source. Raises `ConfigError` where that was not
        asked for."""
        if self.attention is None:
            raise ConfigError("what each symbol looks at is drawn, which was not asked for. Ask for it: --attention.")
        rows, columns = (*(self.best.target_tokens or ()), END), (*self.source_tokens, END)
        named = f"What each symbol of {self.best.target!r} looks at"
        return file_of(heat_map(rows, columns, np.asarray(self.attention, np.float64), named))
