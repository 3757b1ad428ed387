"""recurra predict"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.report import print_answers
from recurra.config import parse_settings
from recurra.data.files import check_encoding, numbered, read_lines
from recurra.errors import ConfigError, DataError
from recurra.workflow.plan import check_reading

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
    set_: Reading = None,
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
    settings = parse_settings(set_ or ())
    check_reading(settings, input is not None)
    choice = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    opened = workflow.load(run, plugin or (), device)
    said = {name: value for name, value in choice.items() if value is not None}
    if opened.writes:
        _write(cast("TextRun", opened), run, text or "", input, said, threads, json)
        return
    for name in said:
        raise ConfigError(f"--{name.replace('_', '-')} is for runs that write, {run} labels. Leave it out.")
    encoding = str(settings.get("reader.encoding", opened.config["reader"].get("encoding", "utf-8")))
    _label(cast("LabelRun", opened), run, text, input, check_encoding(encoding), threads, json)


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


def _label(
    opened: LabelRun, run: Path, text: str | None, source: Path | None, encoding: str, threads: int, json: bool
) -> None:
    if (text is None) == (source is None) or (text is not None and not text.strip()):
        raise ConfigError(f'give a sentence to label, or a file of them: recurra predict {run} "…" or --input FILE.')
    if source is None:
        lines = [text or ""]
    elif str(source) == "-":
        lines = _piped()
    else:
        lines = [line for _, line in read_lines(source, encoding)]
    answers = opened.predict(*lines, threads=threads)  # a blank line too: answer k is that of line k
    if json:
        print(json_format.dumps(answers, ensure_ascii=False))
    else:
        print_answers(answers)


def _piped() -> list[str]:
    """The lines of what is piped in."""
    try:
        return [line for _, line in numbered(sys.stdin.read())]
    except UnicodeDecodeError as error:
        raise DataError(
            f"what is piped in is no {error.encoding} (byte 0x{error.object[error.start]:02x}). Put it into a file: "
            "--input FILE --set reader.encoding=…"
        ) from error
