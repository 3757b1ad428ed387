"""A language model goes on with a text."""

from __future__ import annotations

import numpy as np

from recurra.export.clients.common import Asked, following, numbers_of, read, text_of, unknown_of, vocabulary


def answer(prompt: str = "", length: int = 200, temperature: float = 0.8, seed: int = 0) -> str:
    """The prompt and so many symbols more, each drawn by its probability; temperature 0: always the likeliest."""
    symbols, step, random = vocabulary("input"), Asked("step"), np.random.default_rng(seed)
    ids, state = read(symbols, prompt)[1] or numbers_of(symbols, "\n"), step.start()
    known, never = len(ids), unknown_of(symbols)
    while len(ids) < known + length:
        fresh = ids if len(ids) == known else ids[-1:]
        for number in fresh:
            said = step(input=np.array([number]), **state)
            state = following(said)
        log_p = said["log_probabilities"][0].astype(np.float64)
        if never is not None:  # it has no name to be written by
            log_p[never] = -np.inf
        if temperature:
            p = np.exp((log_p - log_p.max()) / temperature)
            ids.append(int(random.choice(len(p), p=p / p.sum())))
        else:
            ids.append(int(log_p.argmax()))
    return prompt + text_of(symbols, ids)[len(text_of(symbols, ids[:known])) :]
