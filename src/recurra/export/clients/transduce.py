"""A model that writes one text for another: a beam search over its steps."""

from __future__ import annotations

import numpy as np

from recurra.export.clients import subwords, tokens
from recurra.export.clients.common import Asked, following, vocabulary

source_numbers, target_text = subwords.numbers_of, tokens.text_of
BEAM, LENGTH_PENALTY, NO_REPEAT, LONGEST = 5, 0.6, 0, None


def repeating(written: list[int], n: int) -> list[int]:
    """The symbols that would make the last n a second time."""
    last = len(written) - n + 1
    return [written[k + n - 1] for k in range(last) if written[k : k + n - 1] == written[last:]] if n else []


def answer(
    text: str,
    beam: int = BEAM,
    length_penalty: float = LENGTH_PENALTY,
    no_repeat: int = NO_REPEAT,
    longest: int | None = LONGEST,
) -> str:
    """The best of `beam` beginnings that are lengthened side by side; beam 1 takes the likeliest symbol always.

    `no_repeat`: no run of so many symbols stands in it twice. `longest`: symbols, at most; None: by the text's length.
    """
    source, target = vocabulary("input"), vocabulary("target")
    read = [*source_numbers(source, text), len(source["symbols"])]  # and the mark that ends it
    if len(read) == 1:
        return ""
    end, step = len(target["symbols"]), Asked("step")
    longest = 3 * len(read) + 10 if longest is None else longest
    state = Asked("model")(input=np.array([read]), lengths=np.array([len(read)]))
    living: list[tuple[float, list[int]]] = [(0.0, [end])]
    done: list[tuple[float, list[int]]] = []
    while living and len(done) < beam:
        said = step(input=np.array([written[-1] for _, written in living]), **state)
        sums = np.array([score for score, _ in living])[:, None] + said["log_probabilities"]
        for row, (_, written) in zip(sums, living, strict=True):
            row[repeating(written[1:], no_repeat)] = -np.inf
        best = np.argsort(-sums, axis=None, kind="stable")[: beam - len(done)]
        best = best[sums.reshape(-1)[best] > -np.inf]
        rows, symbols = np.divmod(best, sums.shape[1])
        grown = [(float(sums[r, s]), [*living[r][1], int(s)], r) for r, s in zip(rows, symbols, strict=True)]
        ended = [one for one in grown if one[1][-1] == end]
        done += [(score / ((5 + len(written) - 1) / 6) ** length_penalty, written[1:-1]) for score, written, _ in ended]
        if len(living[0][1]) > longest:  # nothing but the mark could follow
            break
        grown = [one for one in grown if one[1][-1] != end]
        living, kept = [(score, written) for score, written, _ in grown], [r for *_, r in grown]
        # The batch is the last axis but one of every state.
        state = {name: np.take(value, kept, axis=-2) for name, value in {**state, **following(said)}.items()}
    cut = [(score, written[1:]) for score, written in living]
    return target_text(target, max(done or cut, key=lambda one: one[0])[1])
