"""recurra predict"""

from __future__ import annotations

import inspect
import json as json_format
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from recurra import plugins as own_files
from recurra import registry, storage, workflow
from recurra.cli import batch
from recurra.cli.options import Device, Json, Plugins, Reading, Threads
from recurra.cli.progress import Watch
from recurra.config import check_seed, parse_settings
from recurra.data.files import check_encoding, decoded, numbered, read_lines
from recurra.errors import ConfigError
from recurra.workflow.plan import check_reading

if TYPE_CHECKING:
    from recurra.answers.answer import Answer

AT_ONCE = 500
"""Inputs answered before they are printed."""
HINTS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
"""Types that an option may have on the command line."""


def predict(
    run: Path,
    /,
    *text: str,
    input: Annotated[Path | None, Parameter(name=("--input", "-i"), allow_leading_hyphen=True)] = None,
    set_: Reading = None,
    device: Device = "cpu",
    threads: Threads = 1,
    plugin: Plugins = None,
    json: Json = False,
    save: Path | None = None,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    shard: str | None = None,
    workers: int | None = None,
    on: Literal["here", "ray"] = "here",
    address: str | None = None,
    **options: Any,
) -> None:
    """Continue a beginning, label a text, fill its blanks, translate it, forecast: what the run was trained for.

    An option that the run's task does not have is refused, and those that it has are named.

    Parameters
    ----------
    run
        The folder that `recurra train` made.
    text
        The beginning to continue (without one, the model begins a line), the sentence to label or to translate,
        the one to fill with ___ where a word is missing, the form and title of a poem, "7x4 春望", numbers …; of a run
        that reads files, recordings say, their names, as many as you like.
    input
        A file with something to answer in every line; - reads what is piped in. Of numbers and recordings it is read
        as the training data were.
    save
        Write the answer to a file as well: music to one that ends in .mid or .abc, what can be drawn to one in .svg;
        pictures, of several answers too, to .png, side by side as they came about, or to .gif, which shows that.
    out
        Answer files, each into a file of its own in this folder, an answer a line: predict RUN FILES --out answers.
        Stopped or killed, the same words go on.
    shard
        2/8: every eighth file alone, from the second, for a scheduler's array jobs.
    workers
        So many processes answer files.
    on
        here: processes of this machine; ray: a Ray cluster, started here where --address names none.
    address
        Where a Ray cluster is that runs already: auto, or its head's HOST:PORT.
    """
    settings = parse_settings(set_ or ())
    if out is not None:
        how = batch.How(out, shard, workers, on, address, device, threads, plugin or ())
        _check_batch(how, input, save)
        check_reading(settings, bool(text))
        given = {name: value for name, value in options.items() if value is not None}
        batch.answer(run, [Path(each) for each in text], how, settings, given, json)
        return
    for option, value in (("--shard", shard), ("--workers", workers), ("--address", address)):
        if value is not None or on != "here":
            option = option if value is not None else "--on"
            raise ConfigError(f"{option} is for answering files. Name the folder for their answers: --out answers")
    check_reading(settings, input is not None)
    for each in text:
        if not each.isascii():
            _check_text(each)
    if options.get("seed") is not None:
        check_seed(options["seed"])
    opened = workflow.load(run, plugin or (), device)
    given = {name: value for name, value in options.items() if value is not None}
    chosen = opened.options(given)
    own = (sys.stdin.encoding if str(input) == "-" else None) or opened.config["reader"].get("encoding", "utf-8")
    encoding = check_encoding(str(settings.get("reader.encoding", own)))
    if input is not None and text and opened.of_files:
        raise ConfigError("there are files to answer, and --input. Leave one away.")
    if input is not None and str(input) != "-" and not opened.of_text:
        from recurra.runs.reading import read_like_training  # which loads numpy

        lines: Sequence[Any] = read_like_training([input], opened.config, settings)
    elif opened.imagines and not text:
        lines = [None]  # nothing
    elif opened.of_files:
        lines = _files(run, text, opened.model.codecs)
    else:
        lines = _lines(run, text, input, encoding, opened.continues)
    whole = getattr(chosen, "draws", False)  # a seed draws for all lines
    answers: list[Answer] = []
    for some in [lines] if whole else [lines[k : k + AT_ONCE] for k in range(0, len(lines), AT_ONCE)]:
        with Watch(sys.stderr):
            answers += opened.predict(*some, threads=threads, **given)
        if not json:
            print("\n".join(each.text() for each in answers[-len(some) * getattr(chosen, "n", 1) :]))
            sys.stdout.flush()
    if json:
        print(json_format.dumps([each.json() for each in answers], ensure_ascii=False))
    from recurra.answers.answer import notes_of, saved_together  # which loads numpy

    if save is not None:
        storage.write(save, saved_together(answers, save.suffix.lower()))

    for note in notes_of(answers, "line" if input else "input", getattr(chosen, "n", 1)):
        print(f"recurra: {note}", file=sys.stderr)


def _check_batch(how: batch.How, source: Path | None, save: Path | None) -> None:
    """Refuse what does not go with --out, before torch is loaded."""
    for option, value in (("--input", source), ("--save", save)):
        if value is not None:
            raise ConfigError(
                f"{option} is for what is answered at once. With --out name files: recurra predict RUN FILE … --out "
                f"{how.out}"
            )
    batch.check(how)


def with_options(words: Sequence[str]) -> Callable[..., None]:
    """The verb with a flag for every option of every task, those of plugins that the words name among them."""
    paths = [Path(path) for word, path in pairwise(words) if word == "--plugin"]
    own_files.load([path for path in paths if path.is_file()])
    signature = inspect.signature(predict, eval_str=True)
    parameters = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    found: dict[str, registry.Option] = {}
    for task in registry.names("task"):
        for option in registry.options(task):
            found.setdefault(option.name, option)
    for name, option in found.items():
        hint = HINTS.get(option.hint.partition(" ")[0], str)
        negative = f"--no-{name.replace('_', '-')}" if hint is bool else ()
        flag = Parameter(help=option.help, negative=negative, show_default=False)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[hint | None, flag]
            )
        )

    def verb(*arguments: Any, **keywords: Any) -> None:
        predict(*arguments, **keywords)

    verb.__doc__, verb.__name__ = predict.__doc__, predict.__name__
    verb.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    verb.__annotations__ = {each.name: each.annotation for each in parameters}
    return verb


def _files(run: Path, names: Sequence[str], codecs: Any) -> list[Any]:
    """What is in the files that are named. Raises `DataError` for one that is not there, or no file of its kind."""
    from recurra.asking.examples import example_of  # which loads numpy

    if not names:
        raise ConfigError(
            f"give files to answer: recurra predict {run} FILE …, or what its training read, a table or a folder: "
            "--input"
        )
    return [example_of(Path(name), codecs) for name in names]


def _lines(run: Path, texts: Sequence[str], source: Path | None, encoding: str, continues: bool) -> list[str]:
    """What is to be answered, blank lines too: answer k is that of line k."""
    if len(texts) > 1:
        raise ConfigError(
            f"{len(texts)} texts, expected one. Put it into quotation marks, or several into a file, a line each: "
            "--input FILE"
        )
    if continues and source is None:
        return [*texts] or [""]
    if bool(texts) == (source is not None):
        raise ConfigError(f'give something to answer, or a file: recurra predict {run} "…" or --input FILE.')
    if source is None:
        return [*texts]
    if str(source) == "-":
        return [line for _, line in numbered(decoded(sys.stdin.buffer.read(), "what is piped in", encoding))]
    return [line for _, line in read_lines(source, encoding)]


def _check_text(text: str) -> None:
    """Raise `ConfigError` for a text with bytes that the terminal's encoding has not: they come as half characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"character {error.start + 1:,} of the text is not valid {sys.getfilesystemencoding()}. Put the text into "
            "a file: --input FILE --set reader.encoding=latin-1"
        ) from error
