"""Many files answered by a run: a file of answers for each, in the order of its lines; what is there is not done again.

    answers/
    ├─ predict.json       which run answers which files, by which options
    ├─ a.txt.jsonl        an answer a line, in the order of the lines of a.txt
    └─ b.txt.jsonl.part   as far as it got

Of a run that reads whole files, recordings, say, the answers to `TOGETHER` of them stand in one file,
`files-00000.jsonl`, each line with the name of its "file".
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra import forms, storage
from recurra.asking.examples import example_of
from recurra.data.files import read_lines
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.forms import ANYTHING, Items, Table, Text, Whole
from recurra.progress import steps
from recurra.runs.reading import read_like_training
from recurra.runs.run import Run

FILE = "predict.json"
AT_ONCE = 500
"""Inputs answered before they are kept."""
TOGETHER = 32
"""Whole files whose answers stand in one file."""
_FORM = Table(
    {
        "run": Text(),
        "weights": Text(),
        "files": Items(Table({"path": Text(halves=True), "bytes": Whole(0)})),
        "settings": Table(others=ANYTHING),
        "options": Table(others=ANYTHING),
    }
)


@dataclass(frozen=True)
class Piece:
    """Files whose answers stand together, and where."""

    files: tuple[Path, ...]
    out: Path


@dataclass(frozen=True)
class Batch:
    """Files that a run is to answer."""

    out: Path
    files: tuple[Path, ...]
    settings: Mapping[str, Any]
    """How they are read, other than the training's."""
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """What was done."""

    files: int
    """Answered now."""
    before: int
    """Answered before."""
    answers: int
    """Given now."""
    seconds: float
    broken: tuple[str, ...]
    """What was wrong with files that could not be read, a sentence each."""

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds if self.seconds else 0.0


def listed(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Files, those in folders by their names; each once. Raises `DataError` for what is not there, or no file."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
            if not inside:
                raise DataError(f"{path} holds no files, expected some to answer.")
            found |= dict.fromkeys(each.resolve() for each in inside)
        elif path.is_file():
            found[path.resolve()] = None
        else:
            raise DataError(f"{path} is not there. Name files to answer, or a folder of them.")
    return tuple(found)


def settle(run: Run, batch: Batch) -> None:
    """Keep what is to be done in the folder, made where it is missing. Raises `CheckpointError` where it holds the
    answers of another run, to other files, or by other options."""
    mine = {
        "run": str(run.path.resolve()),
        "weights": _mark(run.path),
        "files": [{"path": str(each), "bytes": each.stat().st_size} for each in batch.files],
        "settings": dict(batch.settings),
        "options": dict(batch.options),
    }
    before = _read(batch.out)
    if before is None:
        storage.make_folder(batch.out)
        if any(batch.out.iterdir()):
            raise CheckpointError(f"{batch.out} holds something else. Name a new folder with --out.")
        storage.write_text(batch.out / FILE, json.dumps(mine, indent=1) + "\n")
        return
    for name, value in mine.items():
        if name != "run" and before[name] != value:  # a run may have been moved
            what = {"weights": "of another run", "files": "to other files", "settings": "to files read otherwise"}
            raise CheckpointError(
                f"{batch.out} holds answers {what.get(name, f'by other options, {before[name]}')}. Name another folder "
                "with --out; to go on with these, name no files."
            )


def reopen(out: Path) -> Batch:
    """What is to be done in a folder, to go on with it. Raises `CheckpointError` where nothing is."""
    found = _read(out)
    if found is None:
        raise CheckpointError(f"{out} holds no answers to go on with ({FILE} is missing). Name files to answer.")
    files = listed([Path(each["path"]) for each in found["files"]])
    return Batch(out, files, found["settings"], found["options"])


def pieces(batch: Batch, whole: bool) -> list[Piece]:
    """The files in their order, by where their answers stand; `whole`: those of a run that reads whole files."""
    if whole:
        starts = range(0, len(batch.files), TOGETHER)
        return [Piece(batch.files[k : k + TOGETHER], batch.out / f"files-{k:05d}.jsonl") for k in starts]
    above = Path(os.path.commonpath([each.parent for each in batch.files]))
    return [Piece((each,), batch.out / f"{each.relative_to(above)}.jsonl") for each in batch.files]


def answer_files(
    run: Run,
    batch: Batch,
    encoding: str,
    shard: tuple[int, int] = (1, 1),
    threads: int | None = 1,
    say: Callable[[str], None] = lambda sentence: None,
) -> Answered:
    """Answer the files that are not answered yet; of a `shard`, (2, 8), every eighth of the pieces from the second.

    A file that cannot be read is said and left out, the others are answered.
    """
    number, of = shard
    mine = pieces(batch, run.of_files)[number - 1 :: of]
    todo = [piece for piece in mine if not piece.out.exists()]
    begun, answers, broken = time.monotonic(), 0, list[str]()
    for piece in steps(todo, "answering", "files", sum(len(each.files) for each in todo), lambda each: len(each.files)):
        started = time.monotonic()
        try:
            given, wrong = _answer(run, piece, batch, encoding, threads)
        except DataError as error:
            first, said = str(piece.files[0]), str(error)
            given, wrong = 0, [said if first in said else f"{first}: {said}"]
        except OSError as error:
            raise CheckpointError(storage.unwritable(piece.out, error)) from error
        answers += given
        broken += wrong
        for each in wrong:
            say(f"left out: {each}")
        if (seconds := time.monotonic() - started) > 2:
            say(f"{piece.out}: {given:,} answers, {given / seconds:,.1f} a second")
    files, before = (sum(len(each.files) for each in some) for some in (todo, mine))
    return Answered(files - len(broken), before - files, answers, time.monotonic() - begun, tuple(broken))


def _answer(run: Run, piece: Piece, batch: Batch, encoding: str, threads: int | None) -> tuple[int, list[str]]:
    """Answer a piece, from where it was stopped; how many answers were given now, and what is wrong with whole files.
    Raises `DataError` for what cannot be read, or not be answered."""
    inputs = [*_inputs(run, piece, batch.settings, encoding)]
    chosen = run.options(batch.options)
    each = getattr(chosen, "n", 1)
    together = run.of_files or getattr(chosen, "draws", False)  # a seed draws for all of a file
    at_once = max(1, len(inputs)) if together else AT_ONCE
    storage.make_folder(piece.out.parent)
    part = piece.out.with_name(piece.out.name + ".part")
    kept = _whole_lines(part, at_once * each)
    first, given = len(kept) // each, 0
    with storage.begin(part, b"".join(kept)) as file:
        chunks = [inputs[k : k + at_once] for k in range(first, len(inputs), at_once)]
        for chunk in steps(chunks, piece.files[0].name, "inputs", len(inputs) - first, len):
            lines = b"".join(_lines(run, piece, chunk, batch.options, threads, each))
            rest = memoryview(lines)
            while rest:
                rest = rest[file.write(rest) :]
            given += sum(not isinstance(found, DataError) for found in chunk) * each
        os.fsync(file.fileno())
    storage.rename(part, piece.out)
    return given, [str(found) for found in inputs if isinstance(found, DataError)]


def _lines(
    run: Run, piece: Piece, chunk: Sequence[Any], options: Mapping[str, Any], threads: int | None, each: int
) -> Iterator[bytes]:
    """The answers to inputs, a line each; what is wrong with a whole file stands in the place of its answers."""
    good = [given for given in chunk if not isinstance(given, DataError)]
    found = iter(run.predict(*good, threads=threads, **options) if good else ())
    places = [*map(str, piece.files)] if run.of_files else []
    for k, given in enumerate(chunk):
        named = {"file": places[k]} if places else {}
        told = (
            [{"error": str(given)}] * each
            if isinstance(given, DataError)
            else [next(found).json() for _ in range(each)]
        )
        yield from (json.dumps({**named, **one}, ensure_ascii=False).encode() + b"\n" for one in told)


def _inputs(run: Run, piece: Piece, settings: Mapping[str, Any], encoding: str) -> Sequence[Any]:
    """What there is to answer in the files of a piece."""
    if run.of_files:
        return [_opened(file, run) for file in piece.files]
    (file,) = piece.files
    if run.of_text:
        return [line for _, line in read_lines(file, encoding)]
    return read_like_training([file], run.config, settings)


def _opened(file: Path, run: Run) -> Any:
    """What a whole file holds, or what is wrong with it."""
    try:
        return example_of(file, run.model.codecs)
    except DataError as error:
        return error


def _whole_lines(part: Path, multiple: int) -> list[bytes]:
    """The lines of a file of answers that was not finished, as many as were asked together."""
    if not part.exists():
        return []
    try:
        lines = storage.read(part).splitlines(keepends=True)
    except OSError as error:
        raise ConfigError(f"{part} cannot be read ({error.strerror or error}). Delete it.") from error
    whole = [line for line in lines if line.endswith(b"\n")]
    return whole[: len(whole) // multiple * multiple]


def _read(out: Path) -> dict[str, Any] | None:
    path = out / FILE
    if not os.path.lexists(path):
        return None
    found: dict[str, Any] = forms.json_file(path, _FORM, move="Name another folder with --out.")
    return found


def _mark(folder: Path) -> str:
    """What tells the weights of a run, or of an export, from those of others."""
    path = next((each for each in (folder / "model.safetensors", folder / "model.onnx") if each.exists()), folder)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}). Is the run whole?") from error
