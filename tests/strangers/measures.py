"""Two more metrics: Cohen's kappa of labels, and the mean similarity of targets."""

from collections import Counter
from difflib import SequenceMatcher

from recurra.registry import part


@part("metric", "kappa")
def kappa(gold, predicted):
    """Agreement beyond chance, per cent: (p − c) / (1 − c), c what labels drawn by their frequency would agree."""
    pairs = [(true["label"], guess["label"]) for true, guess in zip(gold, predicted, strict=True)]
    n = len(pairs)
    agreed = sum(true == guess for true, guess in pairs) / n
    trues, guesses = (Counter(side) for side in zip(*pairs, strict=True))
    chance = sum(trues[name] * guesses[name] for name in trues) / n**2
    return 100 * (agreed - chance) / (1 - chance) if chance < 1 else 100.0


@part("metric", "similarity")
def similarity(gold, predicted):
    """The share of a target's characters that stand in the true one in their order, per cent, on average."""
    pairs = [(true["target"], guess["target"]) for true, guess in zip(gold, predicted, strict=True)]
    return 100 * sum(SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in pairs) / len(pairs)
