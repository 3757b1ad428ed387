"""recurra predict"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from recurra import workflow
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.report import print_answers, print_fills, print_targets
from recurra.config import check_seed, parse_settings
from recurra.data.files import check_encoding, decoded, numbered, read_lines
from recurra.errors import ConfigError
from recurra.workflow.plan import check_reading

if TYPE_CHECKING:
    from recurra.serving.fills import FillRun
    from recurra.serving.labels import LabelRun
    from recurra.serving.pairs import PairRun
    from recurra.serving.texts import TextRun

DRAWING = ("temperature", "top_k", "top_p", "seed")
ONLY = {
    "length": ("write",),
    "top": ("fill",),
    **dict.fromkeys(DRAWING, ("write", "translate")),
    **dict.fromkeys(("n", "beam", "n_best", "length_penalty", "no_repeat", "form", "alignment"), ("translate",)),
}
"""Options that are not for all runs: what those runs do."""
UNKNOWN = 5
"""Unknown words that are named."""
AT_ONCE = 500
"""Lines answered before they are printed."""


def predict(
    run: Path,
    text: str | None = None,
    /,
    *,
    input: Annotated[Path | None, Parameter(name=("--input", "-i"), allow_leading_hyphen=True)] = None,
    length: int | None = None,
    n: int | None = None,
    form: Annotated[bool | None, Parameter(negative="--no-form")] = None,
    beam: int | None = None,
    n_best: int | None = None,
    length_penalty: float | None = None,
    no_repeat: int | None = None,
    top: int | None = None,
    alignment: Annotated[bool | None, Parameter(negative=())] = None,
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
    """Continue a prompt, label a text, fill its blanks, translate it, or write a poem: what the run was trained for.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    text
        The beginning to continue (without one, the model begins a line), the sentence to label or to translate,
        the one to fill with ___ where a word is missing, or the form and title of a poem, "7x4 春望".
    input
        A file with a sentence to label, to fill or to translate in every line; - reads what is piped in.
    length
        How many symbols (characters, bytes, words) to write; 300 if not said.
    n
        How many poems, or translations drawn at random, to write for each line.
    form
        Write poems in exactly the form asked for; --no-form: as the model comes to it.
    beam
        Translations kept beside each other in the search; 1 takes the likeliest symbol always.
    n_best
        How many translations of each sentence to print, the best first, each with its score.
    length_penalty
        0 prefers short translations, more prefers longer ones; 0.6 if the recipe says nothing.
    no_repeat
        Rule out translations in which a run of so many symbols stands twice.
    top
        How many symbols to print for each blank; 5 if not said.
    alignment
        Print below each translation which part of the sentence each of its parts comes from.
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
    if seed is not None:
        check_seed(seed, "--seed")
    choice = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    choice |= {"beam": beam, "n_best": n_best, "length_penalty": length_penalty, "no_repeat": no_repeat}
    choice |= {"alignment": alignment, "form": form, "n": n, "top": top}
    if text is not None and not text.isascii():
        _check_text(text)
    opened = workflow.load(run, plugin or (), device)
    said = {name: value for name, value in choice.items() if value is not None}
    _check_options(said, run, opened.does)
    if opened.does == "write":
        _write(cast("TextRun", opened), run, text or "", input, said, threads, json)
        return
    own = (sys.stdin.encoding if str(input) == "-" else None) or opened.config["reader"].get("encoding", "utf-8")
    encoding = check_encoding(str(settings.get("reader.encoding", own)))
    lines = _lines(run, opened.does, text, input, encoding)
    if opened.does == "label":
        _label(cast("LabelRun", opened), lines, threads, json)
    elif opened.does == "fill":
        _fill(cast("FillRun", opened), lines, said, threads, json)
    else:
        _translate(cast("PairRun", opened), lines, said, threads, json)


def _check_options(said: Iterable[str], run: Path, does: str) -> None:
    """Refuse options of runs that do something else."""
    for name in said:
        runs = ONLY[name]
        if does not in runs:
            raise ConfigError(
                f"--{name.replace('_', '-')} is for runs that {' or '.join(runs)}, {run} {does}s. Leave it out."
            )


def _write(
    opened: TextRun, run: Path, prompt: str, source: Path | None, said: dict[str, Any], threads: int, json: bool
) -> None:
    if source is not None:
        raise ConfigError(
            f"--input is for runs that label or translate, {run} writes. Give the beginning as text: …predict {run} …"
        )
    unknown = opened.unknown_symbols(prompt)
    if unknown:
        print(f"recurra: the run does not know {unknown:,} symbols of the prompt.", file=sys.stderr)
    written = opened.predict(prompt, **said, threads=threads)
    if json:
        print(json_format.dumps({"prompt": prompt, "text": written, "seed": said.get("seed", 0)}, ensure_ascii=False))
    else:
        print(prompt + written)


def _lines(run: Path, does: str, text: str | None, source: Path | None, encoding: str) -> list[str]:
    """The sentences to answer, blank ones too: answer k is that of line k."""
    if (text is None) == (source is None) or (text is not None and not text.strip()):
        raise ConfigError(f'give a sentence to {does}, or a file of them: recurra predict {run} "…" or --input FILE.')
    if source is None:
        return [text or ""]
    if str(source) == "-":
        return [line for _, line in numbered(decoded(sys.stdin.buffer.read(), "what is piped in", encoding))]
    return [line for _, line in read_lines(source, encoding)]


def _label(opened: LabelRun, lines: list[str], threads: int, json: bool) -> None:
    if json:
        print(json_format.dumps(opened.predict(*lines, threads=threads), ensure_ascii=False))
        return
    for some in _in_parts(lines):
        print_answers(opened.predict(*some, threads=threads))
        sys.stdout.flush()


def _fill(opened: FillRun, lines: list[str], said: dict[str, Any], threads: int, json: bool) -> None:
    answers = opened.predict(*lines, **said, threads=threads)
    unknown = sorted({token for answer in answers for token in answer["unknown"]})
    if unknown:
        named = ", ".join(unknown[:UNKNOWN]) + (", …" if len(unknown) > UNKNOWN else "")
        print(f"recurra: the run does not know {named}.", file=sys.stderr)
    if json:
        print(json_format.dumps(answers, ensure_ascii=False))
    else:
        print_fills(answers)


def _translate(opened: PairRun, lines: list[str], said: dict[str, Any], threads: int, json: bool) -> None:
    n = said.pop("n", 1)
    if n < 1:
        raise ConfigError(f"--n {n}, expected 1 or more.")
    asked = [line for line in lines for _ in range(n)]
    at_once = opened.search.draws or said.keys() & set(DRAWING)  # a seed draws for all lines
    answers = []
    for some in [asked] if at_once else _in_parts(asked):
        answers += opened.predict(*some, **said, threads=threads)
        if not json:
            print_targets(answers[-len(some) :])
            sys.stdout.flush()
    if json:
        print(json_format.dumps(answers, ensure_ascii=False))
    for note in opened.doubts(answers):
        print(f"recurra: {note}", file=sys.stderr)


def _in_parts(lines: list[str]) -> Iterator[list[str]]:
    """So many lines at a time that the first answers come soon, and batches are still of sentences of like length."""
    return (lines[first : first + AT_ONCE] for first in range(0, len(lines), AT_ONCE))


def _check_text(text: str) -> None:
    """Raise `ConfigError` for a text with bytes that the terminal's encoding has not: they come as half characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"character {error.start + 1:,} of the text is not valid {sys.getfilesystemencoding()}. Put the text into "
            "a file: --input FILE --set reader.encoding=latin-1"
        ) from error
