"""A language model goes on with a text."""

from __future__ import annotations

import numpy as np

from recurra.export.clients.common import Asked, following, numbers_of, read, text_of, unknown_of, vocabulary


def answer(prompt: str = "", length: int = 200, temperature: float = 0.8, seed: int = 0, top: int = 0) -> str | dict:
    """The prompt and so many symbols more, each drawn by its probability; temperature 0: always the likeliest. Of `top`
    each symbol with its probability, and so many of the likeliest."""
    symbols, step, random = vocabulary("input"), Asked("step"), np.random.default_rng(seed)
    ids, state = read(symbols, prompt)[1] or numbers_of(symbols, "\n"), step.start()
    known, never, steps = len(ids), unknown_of(symbols), list[dict]()
    while len(ids) < known + length:
        fresh = ids if len(ids) == known else ids[-1:]
        for number in fresh:
            said = step(input=np.array([number]), **state)
            state = following(said)
        log_p = said["log_probabilities"][0].astype(np.float64)
        if never is not None:  # it has no name to be written by
            log_p[never] = -np.inf
        best = np.argsort(-log_p, kind="stable")[:top]
        alternatives = [{"symbol": symbols["symbols"][k], "p": float(np.exp(log_p[k]))} for k in best]
        if temperature:
            p = np.exp((log_p - log_p.max()) / temperature)
            ids.append(int(random.choice(len(p), p=p / p.sum())))
        else:
            ids.append(int(log_p.argmax()))
        one = {"symbol": symbols["symbols"][ids[-1]], "p": float(np.exp(log_p[ids[-1]]))}
        steps.append({**one, "alternatives": alternatives})
    text = text_of(symbols, ids)[len(text_of(symbols, ids[:known])) :]
    return {"prompt": prompt, "text": text, "symbols": steps} if top else prompt + text
