"""Tags over tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.answers.answer import chances
from recurra.answers.letters import is_spaced
from recurra.data.spans import spans

BOUNDARIES = frozenset("BMIES")
"""Tags that part a text without naming its parts."""


@dataclass(frozen=True)
class Spans:
    """A tag for each token; tags like B-PER and I-PER make spans."""

    kind: ClassVar[str] = "spans"
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    p: Sequence[float] | None = None
    """The probability of each tag, where it was asked for."""
    likeliest: Sequence[Sequence[tuple[str, float]]] = ()
    """The likeliest tags of each token with their probabilities, where they were asked for."""
    single: bool = False
    """Whether each tag stands for itself, as those of parts of speech do."""
    numbered: bool = False
    """Whether tokens are steps by their number, from 1, as those of a sequence of numbers: steps of one tag that follow
    each other are then told together."""

    @property
    def segments(self) -> list[str] | None:
        """The pieces that tags without types (B, M, E, S) part a text into; None for other tags."""
        if not self.tags or any(tag not in BOUNDARIES for tag in self.tags):
            return None
        return ["".join(self.tokens[begin:end]) for _, begin, end in spans(self.tags)]

    @property
    def runs(self) -> list[tuple[str, int, int]]:
        """The tags, each with the steps that it is the tag of: begin, and end, which is left out."""
        found: list[tuple[str, int, int]] = []
        for k, tag in enumerate(self.tags):
            if found and found[-1][0] == tag:
                found[-1] = (tag, found[-1][1], k + 1)
            else:
                found.append((tag, k, k + 1))
        return found

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tokens": list(self.tokens), "tags": list(self.tags)}
        if self.numbered:
            del found["tokens"]
            found["runs"] = [{"label": tag, "from": begin + 1, "to": end} for tag, begin, end in self.runs]
        if self.p is not None:
            found["p"] = list(self.p)
        if self.likeliest:
            found["likeliest_tags"] = [[{"label": tag, "p": p} for tag, p in each] for each in self.likeliest]
        segments = self.segments
        return found if segments is None else {**found, "segments": segments}

    def text(self) -> str:
        """A line for each token, or run of numbered steps; pieces without types side by side. Where probabilities were
        asked for each token's tag has its own, and the likeliest stand behind it; a piece has that of its least sure
        tag, a run the mean."""
        if self.numbered:
            return "".join("\t".join(row) + "\n" for row in self._steps())
        segments = self.segments
        if segments is not None and self.p is None:
            return " ".join(segments)
        if segments is not None and self.p is not None:
            shares = [min(self.p[begin:end]) for _, begin, end in spans(self.tags)]
            return "".join(f"{piece}\t{share:.3f}\n" for piece, share in zip(segments, shares, strict=True))
        rows = [[token, tag] for token, tag in zip(self.tokens, self.tags, strict=True)]
        for row, p in zip(rows, self.p or (), strict=False):
            row.append(f"{p:.3f}")
        for row, found in zip(rows, self.likeliest, strict=False):
            row.append(chances(found))
        return "".join("\t".join(row) + "\n" for row in rows)

    def _steps(self) -> list[list[str]]:
        """A row for each run: its steps, its tag, and the mean probability of that."""
        rows = [[f"{begin + 1}–{end}", tag] for tag, begin, end in self.runs]
        if self.p is not None:
            for row, (_, begin, end) in zip(rows, self.runs, strict=True):
                row.append(f"{sum(self.p[begin:end]) / (end - begin):.3f}")
        return rows

    def page(self) -> dict[str, Any]:
        if self.numbered:
            rows, p = self._steps(), self.p
            return {
                "tokens": [row[0] for row in rows],
                "spaced": True,
                "spans": [
                    {"label": tag, "begin": k, "end": k + 1, "p": min(p[begin:end]) if p else None}
                    for k, (tag, begin, end) in enumerate(self.runs)
                ],
            }
        found = [(tag, k, k + 1) for k, tag in enumerate(self.tags)] if self.single else spans(self.tags)
        return {
            "tokens": list(self.tokens),
            "spaced": is_spaced(self.tokens),
            "spans": [
                {"label": label, "begin": begin, "end": end, "p": min(self.p[begin:end]) if self.p else None}
                for label, begin, end in found
            ],
        }
