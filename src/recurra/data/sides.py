"""The two sides of a pair: what its source is, and which targets are right."""

from __future__ import annotations

from recurra.data.codecs.tokens import Text
from recurra.data.fields import place_of
from recurra.errors import DataError
from recurra.types import Example


def targets_of(example: Example) -> list[Text]:
    """The targets of a pair, all that are right: its `targets`, or its one `target`; none where it has neither."""
    if "targets" in example:
        return list(example["targets"])
    return [example["target"]] if "target" in example else []


def source_of(example: Example) -> Text:
    """The source of a pair, as a text or as its tokens: its `source`, else its `tokens` or `text`.

    Raises `DataError` for an example without any.
    """
    for name in ("source", "tokens", "text"):
        if name in example:
            source: Text = example[name]
            return source
    raise DataError(
        f"{place_of(example)}: no source in this example, only "
        f"{', '.join(name for name in example if name != 'place') or 'nothing'}. Name a reader that gives source: "
        "--set reader.kind=parallel, pairs or dictionary."
    )


def has_empty_side(example: Example) -> bool:
    """Whether source or target of a pair hold nothing. False for an example that is no pair."""
    if "source" not in example:
        return False
    return any(
        not (side.strip() if isinstance(side, str) else side) for side in (source_of(example), *targets_of(example))
    )
