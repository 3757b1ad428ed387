"""recurra recipes"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from recurra import config
from recurra.cli.options import Json
from recurra.errors import ConfigError


def recipes(
    action: Literal["list", "show", "copy"] = "list",
    name: str | None = None,
    to: Path | None = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the recipes, show one, or copy one to a file of your own.

    Parameters
    ----------
    action
        list, show or copy.
    name
        The recipe to show or copy.
    to
        Where to copy it; NAME.toml in this folder if not said.
    """
    import json as json_format

    if action == "list":
        described = {known: config.load_recipe(known).get("description", "") for known in config.recipe_names()}
        if json:
            print(json_format.dumps(described, ensure_ascii=False))
        else:
            width = max(map(len, described))
            print("\n".join(f"{known:<{width}}  {text}" for known, text in described.items()))
        return
    if name is None:
        raise ConfigError(f"which recipe? `recurra recipes {action} NAME`; known: {', '.join(config.recipe_names())}.")
    if action == "show" and json:
        print(json_format.dumps(config.load_recipe(name), ensure_ascii=False))
    elif action == "show":
        print(config.recipe_text(name), end="")
    else:
        print(_copy(name, to or Path(f"{name}.toml")))


def _copy(name: str, to: Path) -> str:
    text = config.recipe_text(name)
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{to} cannot be written ({error.strerror}). Name another file.") from error
    return f"{to} is yours to change: recurra train {to} …"
