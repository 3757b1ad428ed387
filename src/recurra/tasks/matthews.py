"""The correlation of true and predicted labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.registry import part
from recurra.types import Example


@part("metric", "mcc")
def matthews(gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]]) -> float:
    """Matthews' correlation coefficient of labels, of any number of classes, in per cent: 100 all right, 0 chance.

    (c · N − Σ_k p_k t_k) / √((N² − Σ_k p_k²) (N² − Σ_k t_k²)) of c right among N, t_k of the class k in truth and p_k
    predicted so; 0 where either side has one class only.
    Source: Gorodkin 2004, Comparing two K-category assignments by a K-category correlation coefficient, equation 8.
    """
    truths = [str(example["label"]) for example in gold]
    guesses = [str(example["label"]) for example in predicted]
    N, right = len(truths), sum(map(str.__eq__, truths, guesses))
    true, said = Counter(truths), Counter(guesses)
    together = sum(said[name] * true[name] for name in true)
    spread = math.prod(N * N - sum(count * count for count in counts.values()) for counts in (said, true))
    return 100 * (right * N - together) / math.sqrt(spread) if spread else 0.0
