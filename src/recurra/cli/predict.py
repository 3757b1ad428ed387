"""recurra predict"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Threads
from recurra.cli.report import print_answers
from recurra.data.files import read_lines
from recurra.errors import ConfigError

if TYPE_CHECKING:
    from recurra.serving.labels import LabelRun
    from recurra.serving.texts import TextRun


def predict(
    run: Path,
    text: str | None = None,
    /,
    *,
    input: Annotated[Path | None, Parameter(name=("--input", "-i"))] = None,
    length: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Continue a prompt, or label a text: what the run was trained for.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    text
        The beginning to continue (without one, the model begins a line), or the sentence to label.
    input
        A file with a sentence to label in every line; - reads what is piped in.
    length
        How many symbols (characters, bytes, words) to write; 300 if not said.
    temperature
        Below 1 the likely becomes likelier; 0 takes the likeliest symbol always. 1 if not said.
    top_k
        Draw among the so many likeliest symbols only.
    top_p
        Draw among the likeliest symbols that together have this probability.
    seed
        The same seed writes the same text; 0 if not said.
    """
    choice = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    opened = workflow.load(run, plugin or (), device)
    said = {name: value for name, value in choice.items() if value is not None}
    if opened.writes:
        _write(cast("TextRun", opened), run, text or "", input, said, threads, json)
        return
    for name in said:
        raise ConfigError(f"--{name.replace('_', '-')} is for runs that write, {run} labels. Leave it out.")
    _label(cast("LabelRun", opened), run, text, input, threads, json)


def _write(
    opened: TextRun, run: Path, prompt: str, source: Path | None, said: dict[str, Any], threads: int, json: bool
) -> None:
    if source is not None:
        raise ConfigError(f"--input is for runs that label, {run} writes. Give the beginning as text: …predict {run} …")
    unknown = opened.unknown_symbols(prompt)
    if unknown:
        print(f"recurra: the run does not know {unknown:,} symbols of the prompt.", file=sys.stderr)
    written = opened.predict(prompt, **said, threads=threads)
    if json:
        print(json_format.dumps({"prompt": prompt, "text": written, "seed": said.get("seed", 0)}, ensure_ascii=False))
    else:
        print(prompt + written)


def _label(opened: LabelRun, run: Path, text: str | None, source: Path | None, threads: int, json: bool) -> None:
    if (text is None) == (source is None):
        raise ConfigError(f'give a sentence to label, or a file of them: recurra predict {run} "…" or --input FILE.')
    if source is None:
        lines = [text or ""]
    elif str(source) == "-":
        lines = sys.stdin.read().splitlines()
    else:
        lines = [line for _, line in read_lines(source, "utf-8")]
    answers = opened.predict(*(line for line in lines if line.strip()), threads=threads)
    if json:
        print(json_format.dumps(answers, ensure_ascii=False))
    else:
        print_answers(answers)
