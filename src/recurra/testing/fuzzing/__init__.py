"""Fuzzing: whatever is given, the answer is a result or a `RecurraError`; anything else is a finding.

An input is a function of its kind, a seed and its number, so a finding is made again by naming the three. Each has a
time limit, so that what never ends is a finding, too. `benchmarks/fuzz.py` does this by the million.
"""

from recurra.testing.fuzzing.harness import Counts, Finding, Kind, fuzz, made

__all__ = ["Counts", "Finding", "Kind", "fuzz", "made"]
