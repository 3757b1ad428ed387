"""What a task takes at prediction, and what only its recipe says."""

from __future__ import annotations

import pytest

from recurra import registry
from recurra.errors import ConfigError
from recurra.tasks.options import make_options


@pytest.mark.parametrize("task", registry.names("task"))
def test_settings_of_recipes_are_no_flags_and_no_keywords(task: str) -> None:
    made = registry.find("task", task)
    only = getattr(made.Options, "of_recipes", ())
    assert not {*only} & {option.name for option in registry.options(task)}
    for name in only:
        recipe = make_options(made, {name: 7}, {})
        assert getattr(recipe, name) == 7
        with pytest.raises(ConfigError, match=f"{name} is no option of this run"):
            make_options(made, {}, {name: 7})


def test_a_recipe_alone_says_how_many_a_validation_writes_for() -> None:
    assert registry.find("task", "transduce").Options.of_recipes == ("valid",)
