"""What Python and torch say where there is no room, in a sentence; imports neither torch nor numpy."""

from __future__ import annotations

ALLOCATION = (
    *("allocate memory", "alloc_cpu.cpp", "out of memory", "OutOfMemory", "Unable to allocate"),
    *("Storage size calculation overflowed", "array is too big", "cannot be represented"),
)
"""What stands in the words of an error of torch's or numpy's that lacked memory."""


def sentence(error: BaseException) -> str | None:
    """What a caller can do about an error that says that something is too large or too deep; None: it is another."""
    if isinstance(error, RecursionError):
        return (
            "what was given is nested too deeply to be read: a file, a setting or an equation. --debug shows where it "
            "was read."
        )
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ValueError) and any(word in str(error) for word in ALLOCATION)
    ):
        return (
            f"there is not enough memory{_first_line(error)}. Make the model, the batches or the input smaller "
            "(core.hidden_size, batching.size, a shorter file); --debug shows where."
        )
    if isinstance(error, OverflowError):
        return f"a number is too large{_first_line(error)}. --debug shows where."
    return None


def _first_line(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0].rstrip(".")
    return f" ({said[:200]})" if said else ""
