"""A language model goes on with a text."""

from __future__ import annotations

import numpy as np

from recurra.export.clients.common import Asked, following, numbers_of, text_of, vocabulary


def answer(prompt: str = "", length: int = 200, temperature: float = 0.8, seed: int = 0) -> str:
    """The prompt and so many symbols more, each drawn by its probability; temperature 0: always the likeliest."""
    symbols, step, random = vocabulary("input"), Asked("step"), np.random.default_rng(seed)
    read, state = numbers_of(symbols, prompt) or numbers_of(symbols, "\n"), step.start()
    known = len(read)
    while len(read) < known + length:
        fresh = read if len(read) == known else read[-1:]
        for number in fresh:
            said = step(input=np.array([number]), **state)
            state = following(said)
        log_p = said["log_probabilities"][0].astype(np.float64)
        if temperature:
            p = np.exp((log_p - log_p.max()) / temperature)
            read.append(int(random.choice(len(p), p=p / p.sum())))
        else:
            read.append(int(log_p.argmax()))
    return prompt + text_of(symbols, read)[len(text_of(symbols, read[:known])) :]
