"""Draw a continuation, symbol after symbol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.config import check_seed
from recurra.decoding.hypothesis import check_cuts, no_symbol, not_finite
from recurra.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from recurra.data.codecs.contract import Vocabulary

Step = Callable[[Any, int], tuple[Any, Any]]
"""Reads a symbol in a state; gives natural log-probabilities of the next, [V] or [1, V], and the new state."""


@dataclass(frozen=True)
class Sampling:
    """How a continuation is drawn. Raises `ConfigError` for a value out of range."""

    length: int = 300
    """How many symbols, or steps, to write."""
    temperature: float = 1.0
    """Below 1 the likely becomes likelier; 0 takes the likeliest always."""
    top_k: int | None = None
    """Draw among the so many likeliest symbols only."""
    top_p: float | None = None
    """Draw among the likeliest symbols that together have this probability."""
    seed: int = 0
    """The same seed writes the same."""
    top: int = 0
    """So many of the likeliest to give with their probabilities, for each symbol that is written; 0: none."""

    def __post_init__(self) -> None:
        if self.length < 0:
            raise ConfigError(f"length = {self.length}, expected 0 or more symbols to draw.")
        if self.top < 0:
            raise ConfigError(f"top = {self.top}, expected 0 or more symbols.")
        check_cuts(self.temperature, self.top_k, self.top_p)
        check_seed(self.seed)


@dataclass(frozen=True)
class StepSampling:
    """How steps of numbers are drawn. Raises `ConfigError` for a value out of range."""

    length: int = 100
    """How many steps to write, unless what is written ends by itself."""
    temperature: float = 1.0
    """Below 1 the likely becomes likelier; 0 takes the likeliest always."""
    seed: int = 0
    """The same seed writes the same."""

    def __post_init__(self) -> None:
        if self.length < 0:
            raise ConfigError(f"length = {self.length}, expected 0 or more steps to draw.")
        check_cuts(self.temperature, None, None)
        check_seed(self.seed)


def sample(
    step: Step,
    state: Any,
    prompt: ArrayLike,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    never: int | None = None,
) -> NDArray[np.int64]:
    """Read the symbols `prompt` [n], n ≥ 1, then draw `length` more, each read in its turn; give those drawn.

    Temperature 0 takes the most likely symbol always (of equals, the first); `distribution` says what temperature,
    `top_k` and `top_p` do otherwise. The symbol `never`, the unknown one, is not drawn: the others share what it has.
    The same seed draws the same symbols; no other random generator is touched.
    """
    if length < 0:
        raise ConfigError(f"length = {length}, expected 0 or more symbols to draw.")
    check_cuts(temperature, top_k, top_p)
    seed = check_seed(seed)
    prompt = np.asarray(prompt, np.int64).reshape(-1)
    if not len(prompt):
        raise ConfigError("the prompt has no symbol, expected one or more. `prompt_ids` gives one to start from.")
    generator = np.random.default_rng(seed)
    drawn = np.empty(length, np.int64)
    if not length:
        return drawn
    for token in prompt[:-1].tolist():
        _, state = step(state, token)
    token = int(prompt[-1])
    for i in range(length):
        log_p, state = step(state, token)
        log_p = _vector(log_p, i, never)
        if temperature == 0:
            token = int(log_p.argmax())
        else:
            p = distribution(log_p, temperature=temperature, top_k=top_k, top_p=top_p)
            token = int(generator.choice(len(p), p=p))
        drawn[i] = token
    return drawn


def distribution(
    log_p: NDArray[np.floating], *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> NDArray[np.float64]:
    """What `sample` draws from, [V]: p^(1/temperature), cut to the `top_k` most likely symbols, then to the fewest of
    these that together hold a share `top_p` (Holtzman et al. 2020); what is cut off is 0, the rest sums to 1.

    Raises ConfigError where the highest of `log_p` is no finite number: then there is nothing to draw from.
    """
    log_p = np.asarray(log_p, np.float64)
    if not np.isfinite(log_p.max()):
        raise ConfigError(f"the highest log-probability is {log_p.max()}, expected a finite one: nothing can be drawn.")
    with np.errstate(over="ignore"):  # a quotient beyond all numbers is −∞: beside the likeliest, a share of 0
        p: NDArray[np.float64] = np.exp((log_p - log_p.max()) / temperature)
    p /= p.sum()
    if top_k is not None:
        p[np.argsort(-p, kind="stable")[top_k:]] = 0
        p /= p.sum()
    if top_p is not None and top_p < 1:
        least = min((1 - top_p) / len(p), p.max())
        some = np.flatnonzero(p >= least)  # all others together hold no more than what is cut off
        order = some[np.argsort(-p[some], kind="stable")]
        more_likely = np.cumsum(p[order]) - p[order]
        kept = order[more_likely < top_p]
        cut = np.zeros_like(p)
        cut[kept] = p[kept]
        p = cut
    p /= p.sum()
    return p


def prompt_ids(vocabulary: Vocabulary, text: str) -> NDArray[np.int64]:
    """A prompt's symbols, at least one: instead of none the line end, or the first known symbol if that is unknown."""
    ids = vocabulary.encode(text)
    if len(ids):
        return ids
    line_end = vocabulary.encode("\n")
    if len(line_end) and line_end[0] != vocabulary.unknown:
        return line_end[:1]
    return np.array([1 if vocabulary.unknown == 0 else 0])


def without(log_p: NDArray[np.float64], never: int | None) -> NDArray[np.float64]:
    """Log-probabilities [V] with −∞ for the symbol that is never drawn, if there is one."""
    if never is not None:
        log_p = log_p.copy()
        log_p[never] = -np.inf
    return log_p


def _vector(log_p: Any, drawn: int, never: int | None) -> NDArray[np.float64]:
    """Log-probabilities as numbers [V], `without` the symbol `never`; refused where they are no distribution."""
    if isinstance(log_p, torch.Tensor):
        log_p = log_p.detach().to("cpu", torch.float64).numpy()
    vector = np.asarray(log_p, np.float64)
    if vector.ndim == 2 and len(vector) == 1:
        vector = vector[0]
    if vector.ndim != 1:
        raise ConfigError(f"step gave log-probabilities of shape {list(vector.shape)}, expected [V] or [1, V].")
    vector = without(vector, never)
    if vector.size and vector.max() == -np.inf:
        raise no_symbol(drawn, " drawn")
    if np.isnan(vector).any() or not np.isfinite(vector.max()):
        raise not_finite(drawn, " drawn")
    return vector
