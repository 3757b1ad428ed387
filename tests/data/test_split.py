"""Contiguous cuts: nothing lost, sizes as asked, cuts at line ends."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recurra.data.split import cut
from recurra.errors import ConfigError, DataError

LINES = st.text("ab\n", min_size=40, max_size=400)
WEIGHTS = st.lists(st.integers(1, 20), min_size=2, max_size=5).filter(lambda w: min(w) / sum(w) > 0.05)


@given(LINES, WEIGHTS, st.booleans())
def test_the_parts_put_together_are_the_text(text: str, weights: list[int], exact: bool) -> None:
    done = cut(text, [w / sum(weights) for w in weights], exact=exact)
    assert "".join(done) == text
    assert len(done.parts) == len(weights) == len(done.names) == len(done.where) + 1


@given(LINES, st.floats(0.1, 0.9))
def test_an_exact_cut_has_the_exact_size(text: str, fraction: float) -> None:
    train, test = cut(text, (fraction, 1 - fraction), exact=True)
    assert len(train) == int(fraction * len(text))
    assert train + test == text


@given(LINES, st.floats(0.1, 0.9))
def test_a_cut_is_at_the_last_line_end_before_the_fraction(text: str, fraction: float) -> None:
    place = int(fraction * len(text))
    assume("\n" in text[:place])
    done = cut(text, (fraction, 1 - fraction))
    train, _ = done
    assert train.endswith("\n")
    assert "\n" not in text[len(train) : place]
    assert done.where == ("at a line end",)


def test_nine_tenths_are_exactly_nine_tenths() -> None:
    text = "x" * 1_115_394
    train, test = cut(text, (0.9, 0.1), exact=True)
    assert (len(train), len(test)) == (1_003_854, 111_540)


def test_the_record_says_what_was_cut() -> None:
    text = "one\ntwo\nthree four\n"
    assert str(cut(text, (0.5, 0.25, 0.25))) == (
        "cut 19 characters, in their order, into train 8 (42.1%), valid 6 (31.6%), test 5 (26.3%); "
        "cut at a line end, inside a line"
    )
    exact = cut("abcd", (0.5, 0.5), names=("train", "valid"), exact=True)
    assert str(exact).endswith("into train 2 (50.0%), valid 2 (50.0%); cut at the exact fraction")
    assert cut("abcd", [0.25] * 4).names == ("part 1", "part 2", "part 3", "part 4")


@pytest.mark.parametrize("fractions", [(0.9, 0.2), (1.1, -0.1), (1.0, 0.0), ()])
def test_fractions_that_are_none(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"expected positive numbers that sum to 1\. Change data\.valid_fraction"):
        cut("one\ntwo\n", fractions)


def test_a_text_too_short() -> None:
    with pytest.raises(
        DataError, match=r"of 4 characters is too short .* train, valid, test .*0\.9, 0\.05, 0\.05\. Use a"
    ):
        cut("abcd", (0.9, 0.05, 0.05), exact=True)
