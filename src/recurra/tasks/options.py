"""What a task takes at prediction, of a recipe and of a caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from recurra import signatures
from recurra.errors import ConfigError, did_you_mean


def make_options(task: Any, recipe: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """A task's options: as the section `[search]` of a recipe says, with what is `given`, None apart, in their place.

    Raises `ConfigError` for an option that the task does not have and for a value out of range.
    """
    given = {name: value for name, value in given.items() if value is not None}
    only = getattr(task.Options, "of_recipes", ())
    known = [field.name for field in fields(task.Options) if field.name not in only]
    for name in given:
        if name not in known:
            raise ConfigError(
                f"{name} is no option of this run{did_you_mean(name, known)} It takes "
                f"{', '.join(known) or 'none'}. Leave {name} out."
            )
    if hasattr(task.Options, "combined"):
        return task.Options.combined(recipe, given)
    return task.Options(**signatures.checked(task.Options, {**recipe, **given}, where="option"))
