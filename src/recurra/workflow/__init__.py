"""From a recipe and files to a run: what is to be done, checked before torch is loaded, and the doing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recurra.data.sources import check_files
from recurra.errors import ConfigError, DataError
from recurra.export import check_format, check_installed, export_folder
from recurra.runs.adaptation import Choice
from recurra.workflow.plan import check_reading, check_run, make_plan

if TYPE_CHECKING:
    from recurra.answers import Answer
    from recurra.diagnostics.backtest import Backtest
    from recurra.diagnostics.comparison import Comparison
    from recurra.diagnostics.report import Inspection
    from recurra.export.write import Export
    from recurra.runs.run import Run
    from recurra.training.log import Progress

Precision = Literal["float32", "bf16", "auto"]
LOOKED_AT = 1_000
"""Symbols of a text that can be looked at: all that a model makes of them is kept."""


def train(
    recipe: str | Path,
    *files: str | Path,
    out: str | Path | None = None,
    valid: Iterable[str | Path] = (),
    test: Iterable[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
    max_minutes: float | None = None,
    precision: Precision | None = None,
    seed: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    plugins: Iterable[str | Path] = (),
    resume: bool = False,
    fit_budget: bool | None = None,
    progress: Progress | None = None,
    no_test: bool = False,
    baseline: bool = True,
) -> Run:
    """Train what a recipe says on `files` into the new folder `out` (`run`), score it beside its baseline, and load it.

    `settings` are dotted names, `{"core.hidden_size": 512}`. `max_minutes`, `precision`, `seed`, `device`, `threads`
    and `fit_budget` are the settings of `[training]` that are called so, as on the command line; `fit_budget` says
    whether sizes and schedule are chosen for `max_minutes`; None: where there would be too few updates. The scores are
    in the run's `report`. With `resume`, go on with a run that was stopped: `recurra.train("run", resume=True)`.
    `progress` is called with every step's `Event`.
    With `no_test` the test is left to `Run.evaluate`; without `baseline` no plain model is fitted to stand beside.

    Raises a `RecurraError` for whatever is wrong with recipe, settings, files or folder, most of it before training.
    """
    from recurra.workflow.training import execute

    own = {
        "max_minutes": max_minutes,
        "precision": precision,
        "seed": seed,
        "device": device,
        "threads": threads,
        "fit_budget": fit_budget,
    }
    settings = {**(settings or {}), **{f"training.{name}": value for name, value in own.items() if value is not None}}
    plan = make_plan(recipe, files, out=out, valid=valid, test=test, settings=settings, plugins=plugins, resume=resume)
    watch: Progress = (lambda event: None) if progress is None else progress
    return execute(plan, progress=watch, no_test=no_test, baseline=baseline)


def encode(
    recipe: str | Path,
    *files: str | Path,
    out: str | Path,
    valid: Iterable[str | Path] = (),
    test: Iterable[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] = (),
    processes: int | None = None,
) -> Path:
    """Encode files into the new folder `out`, a corpus, that trainings read where it lies; gives the folder.

    `recurra.train("char-lm", settings={"data.corpus": "corpus"})` trains from it. One that was begun and stopped goes
    on. `processes` read and encode, one a core if not said. Raises a `RecurraError` for whatever is wrong with recipe,
    settings, files or folder.
    """
    plan = make_plan(recipe, files, out=out, valid=valid, test=test, settings=settings, plugins=plugins)
    from recurra.workflow.encoding.encode import execute

    return execute(plan, processes=processes).folder


def load(run: str | Path, plugins: Iterable[str | Path] = (), device: str = "auto") -> Run:
    """The trained model in the folder `run`, with the plugins it was trained with; or what `export` made of one, by
    its folder or its `model.onnx`, which runs on the CPU.

    Raises `CheckpointError` for a run that is missing, cut, corrupt or of another version.
    """
    exported = export_folder(run)
    if exported is not None:
        check_installed("onnxruntime")
        from recurra.export.opened import load_export

        return load_export(exported)
    check_run(run)
    from recurra.runs.run import load_run

    return load_run(run, plugins, device)


def predict(
    run: str | Path,
    *inputs: Any,
    plugins: Iterable[str | Path] = (),
    device: str = "cpu",
    threads: int | None = 1,
    **options: Any,
) -> list[Answer]:
    """The answers of the run in a folder, or of an export, to inputs: `recurra.predict("run", "a text", top=3)`.

    `options` are those of the run's task; one that it does not have raises `ConfigError`. Whoever asks more than once
    opens the run once: `run = recurra.load("run")`, `run.predict("a text")`.
    """
    return load(run, plugins, device).predict(*inputs, threads=threads, **options)


def evaluate(
    run: str | Path,
    *others: str | Path,
    plugins: Iterable[str | Path] = (),
    device: str = "auto",
    baseline: bool = True,
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
    dynamic: Choice = None,
    cache: Choice = None,
    tell: Callable[[dict[str, Any]], None] = lambda scored: None,
) -> dict[str, Any]:
    """Score a run on files, or on its own test where none is named; further runs among `others` answer with it.

    `settings` say how files are to be read that are unlike the training's, `{"reader.kind": "columns"}`, and options of
    the task, `{"search.beam": 1}`. `dynamic` and `cache` let a language model adapt to the text, `tell` is given what
    is scored by then; see `Run.evaluate`.
    """
    runs = [Path(other) for other in others if (Path(other) / "config.toml").is_file()]
    files = [other for other in others if Path(other) not in runs]
    check_run(run)
    check_files(files, folders=True)
    check_reading(settings or {}, bool(files), searching=True)
    from recurra.runs.run import load_run

    first, *rest = [load_run(path, plugins, device) for path in (run, *runs)]
    return first.evaluate(
        *files,
        baseline=baseline,
        threads=threads,
        beside=rest,
        settings=settings,
        dynamic=dynamic,
        cache=cache,
        tell=tell,
    )


def backtest(
    run: str | Path,
    *files: str | Path,
    windows: int | None = None,
    stride: int | None = None,
    owa: bool = False,
    rows: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] = (),
    device: str = "auto",
    threads: int | None = None,
) -> Backtest:
    """Ask a run from many places of each series what follows, beside what came: `recurra.runs.backtest`.

    `rows`: the CSV file to write, backtest.csv in the run's folder where none is said. Raises `ConfigError` for a run
    that says nothing of what follows, `DataError` for files that cannot be read or hold no series long enough.
    """
    check_run(run)
    check_files(files, folders=True)
    check_reading(settings or {}, bool(files))
    from recurra.runs.backtest import backtest as asked
    from recurra.runs.run import load_run

    return asked(
        load_run(run, plugins, device),
        *files,
        windows=windows,
        stride=stride,
        owa=owa,
        rows=Path(run) / "backtest.csv" if rows is None else Path(rows),
        settings=settings,
        threads=threads,
    )


def export(
    run: str | Path,
    *,
    to: str = "onnx",
    out: str | Path | None = None,
    int8: bool = False,
    plugins: Iterable[str | Path] = (),
) -> Export:
    """Write a run as ONNX files into the folder `out` (`onnx` in the run's), after they were compared with torch.

    With `int8` their weights are rounded to eight bits. Raises `ConfigError` for an unknown format, for a package that
    is missing, for a part that has no form in ONNX, and for a folder that holds something else.
    """
    check_format(to)
    check_run(run)
    check_installed("onnx", "onnxruntime", "onnxscript")
    own = Path(run) / "onnx"
    if out is None and own.is_symlink():
        raise ConfigError(f"{own} is a link, expected a folder of the run's own. Name the folder to write to by --out.")
    from recurra.export.write import export as write
    from recurra.runs.run import load_run

    return write(load_run(run, plugins, "cpu"), own if out is None else Path(out), int8)


def inspect(
    run: str | Path,
    *,
    text: str | None = None,
    file: str | Path | None = None,
    length: int = 300,
    settings: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] = (),
    device: str = "cpu",
    threads: int | None = 1,
) -> Inspection:
    """Look inside a run while it reads at most `length` symbols of a text, of a file, or of its own held-out data.

    `settings`: the encoding of the file where it is another than the training's, `{"reader.encoding": "latin-1"}`.
    `recurra.diagnostics.report.summary` makes words of what is found, `page` an HTML file. One thread unless `threads`
    says otherwise: steps of one sequence are little work, and more threads wait for each other.

    Raises `CheckpointError` for a folder that holds no run, `ConfigError` for both a text and a file, `DataError` for a
    text that cannot be read.
    """
    if text is not None and file is not None:
        raise ConfigError("both a text and a file to read. Give one of them.")
    if not 3 <= length <= LOOKED_AT:
        raise DataError(f"a length of {length:,}, expected 3 to {LOOKED_AT:,} symbols to look at.")
    check_reading(settings or {}, file is not None)
    for name in settings or {}:
        if name != "reader.encoding":
            raise ConfigError(f"{name} is not for a file that is looked at line by line, reader.encoding alone is.")
    check_run(run)
    if file is not None:
        check_files([file])
    from recurra.runs.run import load_run
    from recurra.workflow.inside import look_inside

    encoding = (settings or {}).get("reader.encoding")
    return look_inside(load_run(run, plugins, device), text, file, length, threads, encoding)


def compare(*runs: str | Path) -> Comparison:
    """Runs of one task beside each other: scores, the curves of their trainings, the settings that differ.

    `recurra.diagnostics.report.comparison_summary` makes words of it, `comparison_page` an HTML file. Raises
    `ConfigError` for fewer than two runs, for more than twelve and for runs of different tasks, `CheckpointError` for a
    folder that holds no run.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run{'' if len(runs) == 1 else 's'} to compare. Name two or more of one task.")
    for run in runs:
        check_run(run)
    from recurra.diagnostics.comparison import compare as beside

    return beside(runs)
