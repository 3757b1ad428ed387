"""Whatever is text on the page can be read: the contrast of WCAG 2.1, 4.5 to 1, from the stylesheet's own colours."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from recurra.figures.drawing import style

Colour = tuple[float, float, float]
CSS = style() + (resources.files("recurra.diagnostics.report") / "page.css").read_text(encoding="utf-8")
LOOKS = re.findall(r":root[^{]*\{([^}]*)\}", CSS)
"""The variables of light, of dark as chosen, of dark as the system has it."""
STRONGEST = 0.85
"""The most that a symbol is coloured by."""


def variables(block: str) -> dict[str, str]:
    return {name: value.strip() for name, value in re.findall(r"--([\w-]+):([^;]*)", block)}


def of(value: str) -> Colour:
    if not value.startswith("#"):
        red, green, blue = (float(part) for part in value.split(","))
        return red, green, blue
    digits = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
    red, green, blue = (float(int(digits[k : k + 2], 16)) for k in (0, 2, 4))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    def luminance(colour: Colour) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(of("#777"), of("#fff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("look", range(3))
def test_text_stands_out_from_what_it_stands_on(look: int) -> None:
    assert len(LOOKS) == 3
    colours = variables(LOOKS[look])
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", CSS, flags=re.S))
    text = {
        name
        for selector, rule in rules
        if "#status" not in selector
        for name in re.findall(r"(?:^|[;\s])color:\s*var\(--([\w-]+)\)", rule)
    } | {"ink", "soft"}
    assert {"ink", "soft", "k0", "k1", "k2", "k5"} <= text
    for name in text:
        for behind in ("paper", "card"):
            found = contrast(of(colours[name]), of(colours[behind]))
            assert found >= 4.5, f"{name} on {behind}: {found:.2f}"
    assert contrast(of(colours["paper"]), of(colours["ink"])) >= 4.5  # what is tapped


@pytest.mark.parametrize("look", range(3))
def test_text_stands_out_from_the_strongest_colour_of_a_symbol(look: int) -> None:
    colours = variables(LOOKS[look])
    share = STRONGEST * float(colours["most"])
    for sign in ("plus", "minus"):
        for behind in ("card", "paper"):
            pairs = zip(of(colours[sign]), of(colours[behind]), strict=True)
            mixed = tuple(share * above + (1 - share) * below for above, below in pairs)
            found = contrast(of(colours["ink"]), mixed)  # type: ignore[arg-type]
            assert found >= 4.5, f"ink on {sign}: {found:.2f}"


def test_the_two_dark_looks_are_one() -> None:
    assert variables(LOOKS[1]) == variables(LOOKS[2])
