"""A model that writes one text for another: a beam search over its steps."""

from __future__ import annotations

import json

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import FILES, NOTES, Asked, following, read, text_of, unknown_of, vocabulary

SEARCH = {"beam": 5, "length_penalty": 0.6, "no_repeat": 0, "longest": None}
"""Unless the run's own says otherwise: hypotheses kept beside each other, 1 takes the likeliest symbol always; α of
log p / ((5 + n) / 6)^α; no run of so many symbols stands in a text twice; symbols at most, None: by the source's."""


def repeating(written: list[int], n: int) -> list[int]:
    """The symbols that would make the last n a second time."""
    last = len(written) - n + 1
    return [written[k + n - 1] for k in range(last) if written[k : k + n - 1] == written[last:]] if n else []


def copied(target: dict, written: list[int], tokens: list[str]) -> str:
    """The text of symbols, unknown ones copied from the tokens of the source that they look at."""
    name = target["symbols"][unknown_of(target)]
    copies = [token for token, number in zip(tokens, written, strict=True) if number == unknown_of(target)]
    pieces = text_of(target, written).split(name)
    return "".join(piece + copy for piece, copy in zip(pieces, [*copies, ""], strict=True))


def answer(text: str, top: int = 0, **choice: float | None) -> str | dict:
    """The best of several beginnings that are lengthened side by side, or the `top` best with the log-probability of
    each; `choice`: other settings of `SEARCH`."""
    source, target = vocabulary("input"), vocabulary("target")
    if source["kind"] in FILES:
        tokens, feeds = list[str](), FILES[source["kind"]](text)
    elif is_blank(text):
        NOTES.append(NOTHING)
        return ""
    else:
        tokens, ids = read(source, text)
        ids.append(len(source["symbols"]))  # the mark that ends it
        feeds = {"input": np.array([ids]), "lengths": np.array([len(ids)])}
    end, step, never = len(target["symbols"]), Asked("step"), unknown_of(target)
    copies = step.metadata.get("unknown") == "copied"
    own = json.loads(step.metadata["config"]).get("search", {})
    beam, length_penalty, no_repeat, longest = (({**SEARCH, **own, **choice})[name] for name in SEARCH)
    steps = int(feeds["lengths"][0])
    longest = longest or (steps if source["kind"] in FILES else 3 * steps + 10)
    beam, model = max(beam, top), Asked("model")
    state = model(**{name: value for name, value in feeds.items() if name in model.inputs})
    living: list[tuple[float, list[int]]] = [(0.0, [end])]
    looked: list[list[int]] = [[]]  # of each that lives, the place in the source behind each of its symbols
    done: list[tuple[float, float, list[int], list[int]]] = []
    while living and len(done) < beam:
        said = step(input=np.array([written[-1] for _, written in living]), **state)
        looks = said["attention"][:, : len(tokens)].argmax(1) if copies else np.zeros(len(living), int)
        sums = np.array([score for score, _ in living])[:, None] + said["log_probabilities"]
        for row, (_, written) in zip(sums, living, strict=True):
            row[repeating(written[1:], no_repeat)] = -np.inf
            if never is not None and not copies:  # it has no name to be written by
                row[never] = -np.inf
        best = np.argsort(-sums, axis=None, kind="stable")[: beam - len(done)]
        best = best[sums.reshape(-1)[best] > -np.inf]
        rows, symbols = np.divmod(best, sums.shape[1])
        grown = [(float(sums[r, s]), [*living[r][1], int(s)], r) for r, s in zip(rows, symbols, strict=True)]
        ended = [one for one in grown if one[1][-1] == end]
        done += [(p / ((5 + len(w) - 1) / 6) ** length_penalty, p, w[1:-1], looked[r]) for p, w, r in ended]
        if len(living[0][1]) > longest:  # nothing but the mark could follow
            break
        grown = [one for one in grown if one[1][-1] != end]
        living, kept = [(score, written) for score, written, _ in grown], [r for *_, r in grown]
        looked = [[*looked[r], int(looks[r])] for r in kept]
        # The batch is the last axis but one of every state.
        state = {name: np.take(value, kept, axis=-2) for name, value in {**state, **following(said)}.items()}
    cut = [
        (p / ((5 + len(w) - 1) / 6) ** length_penalty, p, w[1:], of) for (p, w), of in zip(living, looked, strict=True)
    ]
    ranked = sorted(done, key=lambda one: -one[0]) + sorted(cut, key=lambda one: -one[0])
    found = [
        {"target": copied(target, w, [tokens[k] for k in of]) if never in w else text_of(target, w)}
        | {"score": score, "log_p": p}
        for score, p, w, of in ranked[: max(1, top)]
    ]
    return {"source": text, **found[0], "hypotheses": found} if top else str(found[0]["target"])
