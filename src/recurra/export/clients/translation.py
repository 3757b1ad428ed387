"""A model that writes one text for another: a beam search over its steps."""

from __future__ import annotations

import json

import numpy as np

from recurra.export.clients.common import Asked, following, numbers_of, text_of, vocabulary

SEARCH = {"beam": 5, "length_penalty": 0.6, "no_repeat": 0, "longest": None}
"""Unless the run's own says otherwise: hypotheses kept beside each other, 1 takes the likeliest symbol always; α of
log p / ((5 + n) / 6)^α; no run of so many symbols stands in a text twice; symbols at most, None: by the source's."""


def repeating(written: list[int], n: int) -> list[int]:
    """The symbols that would make the last n a second time."""
    last = len(written) - n + 1
    return [written[k + n - 1] for k in range(last) if written[k : k + n - 1] == written[last:]] if n else []


def answer(text: str, **choice: float | None) -> str:
    """The best of several beginnings that are lengthened side by side; `choice`: other settings of `SEARCH`."""
    source, target = vocabulary("input"), vocabulary("target")
    read = [*numbers_of(source, text), len(source["symbols"])]  # and the mark that ends it
    if len(read) == 1:
        return ""
    end, step = len(target["symbols"]), Asked("step")
    own = json.loads(step.metadata["config"]).get("search", {})
    beam, length_penalty, no_repeat, longest = (({**SEARCH, **own, **choice})[name] for name in SEARCH)
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
    return text_of(target, max(done or cut, key=lambda one: one[0])[1])
