"""What a search finds, what it searches over, and what every search refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from recurra.errors import ConfigError, RecurraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Step = Callable[[Any, Tensor], tuple[Tensor, Any]]
"""Reads one symbol each, int64 [N], in a state; gives natural log-probabilities of the next, [N, V], and the new state.

A state is a nest of tensors with the batch on axis −2 (`recurra.decoding.state`). N changes from call to call: sources
that are finished leave the batch."""

ABOVE_ZERO = 1e-3
"""Log-probabilities up to this much above 0 are rounding, and taken as 0."""


@dataclass(frozen=True)
class Hypothesis:
    """One sequence a search found for a source."""

    tokens: tuple[int, ...]
    """Its symbols, without the end mark."""
    log_p: float
    """Natural log-probability the model gives its symbols, with the end mark's where it ended."""
    score: float
    """What it was ranked by: `log_p` divided by the length penalty, if any."""
    ended: bool
    """Whether the end mark followed; False: cut at the longest length allowed."""


def limits(begin: Tensor, longest: Tensor | int) -> NDArray[np.int64]:
    """The most symbols allowed for each source, [B]; refused where `begin` or `longest` cannot be meant."""
    if begin.dim() != 1 or begin.is_floating_point():
        raise ConfigError(
            f"begin is {begin.dtype} {list(begin.shape)}, expected int64 [B]: the symbol that each source's output "
            "begins with."
        )
    numbers = longest.detach().cpu().numpy() if isinstance(longest, Tensor) else np.asarray(longest)
    if numbers.shape not in ((), tuple(begin.shape)) or not np.issubdtype(numbers.dtype, np.integer):
        raise ConfigError(
            f"longest is {numbers.dtype} {list(numbers.shape)}, expected whole numbers {list(begin.shape)}, one for "
            "each source, or one number for all."
        )
    if (numbers < 1).any():
        raise ConfigError(f"longest = {numbers.min()}, expected 1 or more symbols.")
    return np.broadcast_to(numbers, tuple(begin.shape)).astype(np.int64)


def check_shape(log_p: Tensor, N: int, end: int) -> None:
    """Refuse what is not [N, V] with `end` among the V symbols."""
    if log_p.dim() != 2 or len(log_p) != N:
        raise ConfigError(f"step gave log-probabilities of shape {list(log_p.shape)}, expected [{N}, V].")
    if not 0 <= end < log_p.shape[1]:
        raise ConfigError(
            f"end = {end}, but step gives log-probabilities of {log_p.shape[1]} symbols, numbered from 0: expected a "
            "number below that."
        )


def check_best(highest: NDArray[np.float64], read: int) -> None:
    """Refuse rows of log-probabilities by their highest values, [N], where these are not finite or above 0."""
    if not np.isfinite(highest).all():
        raise no_symbol(read) if (highest == -np.inf).any() else not_finite(read)
    if (highest > ABOVE_ZERO).any():
        raise ConfigError(
            f"step gave a log-probability of {highest.max():.4g}, expected 0 or less. Is a log_softmax missing?"
        )


def check_cuts(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Refuse what `distribution` cannot draw from."""
    if not 0 <= temperature < np.inf:
        raise ConfigError(f"temperature = {temperature}, expected 0 (always the most likely symbol) or more.")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k = {top_k}, expected 1 or more symbols to choose from, or none for all.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError(f"top_p = {top_p}, expected a share above 0 and up to 1, or none for all.")


def no_symbol(read: int, how: str = "") -> RecurraError:
    """The error of a step that rules every symbol out; `how` as in `not_finite`."""
    return RecurraError(
        f"after {read} symbols{how} none may follow: all log-probabilities are −inf. Does a mask or a form rule out "
        "everything, the end mark too? Leave it one symbol."
    )


def not_finite(read: int, how: str = "") -> RecurraError:
    """The error of a model that gives no distribution after `read` symbols; `how` they came about, if not found."""
    return RecurraError(
        f"after {read} symbols{how} the model's log-probabilities are not finite. Are its weights? "
        "Use an earlier checkpoint, or train again with a lower learning rate."
    )
