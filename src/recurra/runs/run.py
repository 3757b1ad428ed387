"""A trained run, opened. One class for all tasks: what a run can do, the contract of its task says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from recurra import checkpoint
from recurra import config as configuration
from recurra import plugins as own_files
from recurra.answers import Answer
from recurra.asking.answering import Questions, answer, never, questions, said
from recurra.asking.examples import as_example, is_empty
from recurra.asking.threads import threads_set
from recurra.checkpoint import RunFolder
from recurra.config import Config
from recurra.data.codecs import file as codec_file
from recurra.data.codecs.contract import Opens
from recurra.engine.device import find_device
from recurra.errors import ConfigError, UnknownName
from recurra.model import Model
from recurra.runs.adaptation import Choice, make_adaptation
from recurra.runs.continuing import continued
from recurra.runs.reading import examples_to_score, in_pieces, parted
from recurra.runs.scoring import score_model, with_baselines
from recurra.streaming.session import Session, open_session
from recurra.streaming.stepping import How
from recurra.tasks.contract import ChecksOptions, Imagines
from recurra.tasks.options import make_options
from recurra.tasks.scored import Demonstrates
from recurra.tasks.writing import Continues, Starts
from recurra.types import Example

SHOWN = 3
"""Examples of the test that the report shows."""
SAMPLE: dict[str, Any] = {"length": 300, "temperature": 0.8}
"""What the report shows of a run that writes on."""


@dataclass(frozen=True)
class Run:
    """A run directory and the model in it.

    Example::

        run = recurra.load("run")
        run.predict("flights from boston to denver")[0]["tags"]
        run.evaluate("other.conll")["model"]["f1"]
    """

    path: Path
    """Its folder."""
    config: Config
    """Its recipe and settings, by section."""
    model: Model
    device: torch.device

    @property
    def report(self) -> dict[str, Any]:
        """What training wrote down: scores beside the baselines, split, seed, commands, minutes."""
        return checkpoint.read_report(RunFolder(self.path).report)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The report as it was when it was first asked for; empty where there is none yet."""
        return self.report if RunFolder(self.path).report.is_file() else {}

    @property
    def continues(self) -> bool:
        """Whether it writes on from a beginning, which may be empty."""
        return isinstance(self.model.task, Continues) and not isinstance(self.model.task, Starts)

    @property
    def imagines(self) -> bool:
        """Whether it draws by chance, of nothing too."""
        return isinstance(self.model.task, Imagines)

    @property
    def in_pieces(self) -> bool:
        """Whether it reads one long sequence, in pieces."""
        return in_pieces(self.config)

    @property
    def of_text(self) -> bool:
        """Whether its input is symbols."""
        return hasattr(self.model.codecs["input"], "symbols")

    @property
    def of_files(self) -> bool:
        """Whether its input is what files hold: recordings, say."""
        return isinstance(self.model.codecs["input"], Opens)

    def options(self, given: Mapping[str, Any] | None = None) -> Any:
        """The task's options: as the recipe says, with what is `given` in their place.

        Raises `ConfigError` for an unknown one, for a value out of range, and for one that this run cannot use.
        """
        task = self.model.task
        options = make_options(task, self.config.get("search", {}), given or {})
        if isinstance(task, ChecksOptions):
            task.check_options(options)
        return options

    def predict(
        self,
        *inputs: Any,
        threads: int | None = None,
        stop: Callable[[], bool] = never,
        cells: int | None = None,
        **options: Any,
    ) -> list[Answer]:
        """The answer to each input: a text, its tokens, numbers, or an example by the names of its fields.

        `options` are the task's; what an answer holds its parts say (`recurra.answers`), and as a mapping it is its
        JSON. Of a run that writes on, the inputs are beginnings, and none is one that is empty; of one that draws by
        chance, None is nothing given, and so is no input; of another an empty input, or one of blanks, is answered by
        no parts, which `notes_of` says. `cells`: an alignment of more numbers is left out. Raises `Stopped` where
        `stop()` says so meanwhile.
        """
        chosen = self.options(options)
        if self.continues:
            with threads_set(
                1 if threads is None else threads
            ):  # a step of one sequence is little work: more threads wait for each other
                return [continued(self, given, chosen) for given in inputs or ("",)]
        examples = self._asked(inputs, chosen)
        asked = [not is_empty(example, self.model.codecs) for example in examples]
        with threads_set(threads):
            questions = self.questions([each for each, some in zip(examples, asked, strict=True) if some])
            found = iter(self.answers(questions, chosen, stop=stop, cells=cells))
        return [next(found) if some else Answer(()) for some in asked]

    def _asked(self, inputs: Sequence[Any], options: Any) -> list[Example]:
        """What is asked of inputs."""
        codecs, task = self.model.codecs, self.model.task
        if isinstance(task, Imagines):
            given = [None if each is None else as_example(each, codecs) for each in inputs or (None,)]
            return task.imagined(given, codecs, options)
        return [as_example(given, codecs) for given in inputs for _ in range(getattr(options, "n", 1))]

    def questions(self, examples: Sequence[Example], beside: Sequence[Run] = ()) -> Questions:
        """Examples as this run, and others that answer with it, read them."""
        return questions([self.model, *(run.model for run in beside)], examples, self.facts)

    def said(self, asked: Questions) -> Iterator[tuple[list[int], Mapping[str, torch.Tensor]]]:
        """What this run says of each batch of questions, tensors by name, with the places of its examples."""
        return said([self.model], asked, self.device)

    def answers(
        self,
        asked: Questions,
        options: Any,
        *,
        beside: Sequence[Run] = (),
        stop: Callable[[], bool] = never,
        cells: int | None = None,
    ) -> list[Answer]:
        """The answers of this run to questions, together with those of others."""
        models = [self.model, *(run.model for run in beside)]
        return answer(models, asked, options, self.device, stop=stop, cells=cells)

    def evaluate(
        self,
        *files: str | Path,
        baseline: bool = True,
        threads: int | None = None,
        beside: Sequence[Run] = (),
        settings: Mapping[str, Any] | None = None,
        dynamic: Choice = None,
        cache: Choice = None,
        tell: Callable[[dict[str, Any]], None] = lambda scored: None,
    ) -> dict[str, Any]:
        """Score files, or, where none is named, the run's own test part (its validation part if it has no test).

        With other runs `beside` it, they answer together. `settings` are those of the reader for files unlike the
        training's, `{"reader.kind": "columns"}`, and options of the task, `{"search.beam": 1}`. The baseline is fitted
        anew on the data that the run was trained on; where they are gone there is none, and a note says so.
        Gives `{"data", "unknown_share", "parameters", "model": {metrics}, "tables", "baseline": [{"name", "size",
        "unit", metrics}]}`, how much was scored, and the `split` of the run's own data.

        `dynamic=True` also scores a language model by dynamic evaluation, `cache=True` with a neural cache; settings in
        the place of True are those of `recurra.runs.adaptation`. Numbers left open are chosen on the run's own
        validation text. Each adds a row to `"adapted"`; the model itself then reads the text in one stream, too.
        `tell` is given what is scored by then: before the model adapts, before the baselines are fitted, and with each.
        """
        adaptation = make_adaptation(dynamic, cache)
        reading, chosen = parted(settings or {})
        options = self.options(chosen)
        found, examples, train = examples_to_score(self.config, files, reading, baseline)
        notes = [*found.get("notes", ())]
        if found["data"] == "valid" and adaptation.left_open:
            notes.append("There is no test: the numbers of what adapts are chosen on the text they are scored on.")

        def whole(scored: dict[str, Any]) -> dict[str, Any]:
            return found | scored | {"notes": [*notes, *scored["notes"]]}

        def tell_whole(scored: dict[str, Any]) -> None:
            tell(whole(scored))

        with threads_set(threads):
            scored = score_model([self, *beside], examples, train, options, adaptation, tell_whole)
            if train is not None:
                scored = with_baselines(self, scored, examples, train, tell_whole)
            return whole(scored)

    def session(self, step: How = "auto") -> Session:
        """One stream of this run, to be read step by step: see `Session`, and for `step` `open_session`.

        Raises `NotCausal` for a model that needs more than what came before, `ConfigError` for an export, which has no
        parts to hold a stream of.
        """
        return open_session(self.model, self.path, step)

    def shown(self, test: Sequence[Example], seed: int) -> dict[str, Any]:
        """What the report shows of the model beside its scores: its answers to the first examples of the test."""
        task = self.model.task
        if self.continues:
            (found,) = self.predict(**SAMPLE, seed=seed)
            if not self.of_text:
                return {"shown": [found.json()], "texts": [found.text()]}
            return {"sample": {**SAMPLE, "seed": seed, **{k: v for k, v in found.json().items() if k != "prompt"}}}
        asked: Sequence[Example] = test[:SHOWN]
        if isinstance(task, Demonstrates):
            asked = task.demonstration(asked, self.model.codecs, seed)
        answers = self.predict(*asked)
        return {"shown": [found.json() for found in answers], "texts": [found.text() for found in answers]}


def load_run(path: str | Path, plugins: Iterable[str | Path] = (), device: str = "auto") -> Run:
    """Open a run directory. Raises `CheckpointError` for one that is missing, cut, corrupt or of another version."""
    plugins = [*plugins]
    own_files.load(plugins)
    folder = checkpoint.open_run(path)
    config = configuration.load_recipe(folder.config)
    try:
        configuration.check(config)
    except UnknownName as error:
        raise ConfigError(f"{error} {own_files.hint(folder.path, plugins)}") from error
    model = Model.from_config(config, codec_file.load(codec_file.find(folder.path)))
    place = find_device(device)
    checkpoint.load_model(folder.model, model).to(place).eval()
    model.name = str(folder.path)
    return Run(folder.path, config, model, place)
