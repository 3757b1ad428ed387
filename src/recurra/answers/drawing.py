"""Lines that a pen draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

COLUMNS, ROWS = 60, 24
"""Characters of a terminal that a drawing takes at most; each has two times four dots."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Of a braille character, row by row."""
MARGIN = 0.05
"""Of an SVG picture, as a share of the larger side."""


@dataclass(frozen=True)
class Drawing:
    """The moves of a pen [T, 3]: along, down, and 1 where it is lifted then; so many `given`, the others drawn."""

    kind: ClassVar[str] = "drawing"
    moves: NDArray[np.float64]
    given: int = 0
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    """Of files that it can be saved as."""

    def json(self) -> dict[str, Any]:
        return {"moves": np.round(self.moves, 3).tolist(), "given": self.given}

    def lines(self) -> list[list[tuple[float, float, bool]]]:
        """The lines drawn, each the points (along, down) where the pen goes by, and whether they were given; what it
        moves behind a lift draws nothing. It begins at (0, 0)."""
        places = np.concatenate((np.zeros((1, 2)), np.cumsum(self.moves[:, :2], 0)))
        found: list[list[tuple[float, float, bool]]] = []
        line: list[tuple[float, float, bool]] = []
        lifted = False
        for k, (x, y) in enumerate(places):
            if lifted and line:
                found.append(line)
                line = []
            line.append((float(x), float(y), k <= self.given))
            lifted = bool(k and self.moves[k - 1, 2] > 0.5)
        return [each for each in (*found, line) if len(each) > 1]

    def text(self) -> str:
        """The lines in dots, as large as a terminal allows."""
        lines = self.lines()
        if not lines:
            return ""
        points = np.array([point[:2] for line in lines for point in line])
        low = points.min(0)
        wide, high = np.maximum(points.max(0) - low, 1e-9)
        scale = min((2 * COLUMNS - 1) / wide, (4 * ROWS - 1) / high)
        shape = (int(high * scale) // 4 + 1, int(wide * scale) // 2 + 1)
        cells = np.zeros(shape, int)
        for line in lines:
            for (x, y, _), (u, v, _) in pairwise(line):
                a, b = (np.array((x, y)) - low) * scale, (np.array((u, v)) - low) * scale
                for share in np.linspace(0, 1, int(np.abs(b - a).max()) + 2):
                    column, row = (a + share * (b - a) + 1e-9).astype(int)
                    row, column = min(row, 4 * shape[0] - 1), min(column, 2 * shape[1] - 1)
                    cells[row // 4, column // 2] |= DOTS[row % 4][column % 2]
        return "\n".join("".join(chr(0x2800 + cell) if cell else " " for cell in row).rstrip() for row in cells)

    def page(self) -> dict[str, Any]:
        return {"lines": [[[x, y, int(given)] for x, y, given in line] for line in self.lines()], "given": self.given}

    def saved(self, ending: str) -> bytes:
        """The drawing as a file of this ending."""
        return self.svg().encode()

    def svg(self, height: int = 200) -> str:
        """The lines as an SVG picture of so many pixels; what was given is grey."""
        lines = self.lines()
        points = np.array([point[:2] for line in lines for point in line] or [(0.0, 0.0)])
        low, high = points.min(0), points.max(0)
        side = max(float((high - low).max()), 1e-9)
        low, size = low - MARGIN * side, high - low + 2 * MARGIN * side
        paths = [
            f'<path d="{_path(points)}"{" stroke=" + chr(34) + "#999" + chr(34) if given else ""}/>'
            for line in lines
            for points, given in _parts(line)
        ]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{low[0]:.2f} {low[1]:.2f} {size[0]:.2f} {size[1]:.2f}" '
            f'height="{height}" style="background: #fff" fill="none" stroke="#000" stroke-width="{side / 60:.3f}" '
            f'stroke-linecap="round" stroke-linejoin="round">{"".join(paths)}</svg>\n'
        )


def _parts(line: Sequence[tuple[float, float, bool]]) -> list[tuple[list[tuple[float, float, bool]], bool]]:
    """A line where it was given, and where it was drawn on."""
    cut = sum(given for *_, given in line)
    found = [(list(line[:cut]), True), (list(line[max(0, cut - 1) :]), False)]
    return [(points, given) for points, given in found if len(points) > 1]


def _path(points: Sequence[tuple[float, float, bool]]) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y, _ in points)
