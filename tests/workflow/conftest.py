"""Recipes as they are, with the codecs that small runs of them have fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import registry, signatures
from recurra.data.codecs import file as codec_file
from recurra.model import make_codecs, make_parts
from recurra.training.settings import Training

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
RECIPES = {
    "char-lm": "writer",
    "fill": "filler",
    "poem": "poet",
    "translate": "translator",
    "pronounce": "speller",
    "tagger": "tagger",
    "slots": "slots",
    "classifier": "classifier",
}


def opened(recipe: str, *settings: str) -> tuple[Any, Any]:
    """A recipe as it is, and the codecs that a small run of it has fitted."""
    run = configuration.load_recipe(RUNS / RECIPES[recipe] / "config.toml")
    config = configuration.with_settings(configuration.load_recipe(recipe), configuration.parse_settings(settings))
    for section in ("vocabulary", "target"):
        if section in run:
            config[section] = run[section]
    embedder, _, task = make_parts(config)
    known = codec_file.load(codec_file.find(RUNS / RECIPES[recipe]))
    if "ngrams" in task.fields:
        known["ngrams"] = registry.construct("codec", {"kind": "ngrams"}).fit([["the", "dog"], ["the", "dog"]])
    return config, make_codecs(config, embedder, task, known)


def training(config: Any, **settings: Any) -> Training:
    return Training(**signatures.checked(Training, {**config["training"], **settings}, where="training"))
