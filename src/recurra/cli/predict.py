"""recurra predict"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Threads


def predict(
    run: Path,
    prompt: str = "",
    /,
    *,
    length: int = 300,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Continue a prompt.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    prompt
        The beginning; without one, the model begins a line.
    length
        How many symbols (characters, bytes, words) to write.
    temperature
        Below 1 the likely becomes likelier; 0 takes the likeliest symbol always.
    top_k
        Draw among the so many likeliest symbols only.
    top_p
        Draw among the likeliest symbols that together have this probability.
    seed
        The same seed writes the same text.
    """
    opened = workflow.load(run, plugin or (), device)
    unknown = opened.unknown_symbols(prompt)
    if unknown:
        print(f"recurra: the run does not know {unknown:,} symbols of the prompt.", file=sys.stderr)
    text = opened.predict(
        prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, threads=threads
    )
    if json:
        print(json_format.dumps({"prompt": prompt, "text": text, "seed": seed}, ensure_ascii=False))
    else:
        print(prompt + text)
