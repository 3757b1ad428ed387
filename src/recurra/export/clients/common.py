"""What every client has: the files beside it, and models that are asked by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime

from recurra.answers.notes import unknown_note
from recurra.data.mark import mark_of

HERE = Path(__file__).parent
READERS: dict = {}
"""By a vocabulary's kind: what turns text into numbers and back."""
FILES: dict = {}
"""By a codec's kind: what makes the model's inputs of a file, for models that are asked by files."""
NOTES: list[str] = []
"""What there is to know of the answer, a sentence each."""


def vocabularies() -> dict:
    """What codecs.json holds, by name."""
    return json.loads((HERE / "codecs.json").read_text("utf-8"))["codecs"]


def vocabulary(name: str) -> dict:
    """A vocabulary of the run: its kind, its settings, and symbols[n], the name of number n."""
    return vocabularies()[name]


def numbers_of(vocabulary: dict, text: str | list[str]) -> list[int]:
    """The numbers of a text's symbols."""
    return READERS[vocabulary["kind"]].numbers_of(vocabulary, text)


def unknown_of(vocabulary: dict) -> int | None:
    """The number that stands for whatever has no symbol; None: there is none."""
    return READERS[vocabulary["kind"]].unknown(vocabulary)


def unknown_in(vocabulary: dict, tokens: list[str], numbers: list[int]) -> dict:
    """The symbols of a text that the model does not know, each once, and their places; nothing where it knows all."""
    single = vocabulary["settings"].get("split") == "characters" or vocabulary["kind"] == "character"
    unit = "character" if single else "word" if vocabulary["kind"] == "word" else "token"
    met: dict = {}
    for place, (token, number) in enumerate(zip(tokens, numbers, strict=True)):
        if number == unknown_of(vocabulary) and token != vocabulary["symbols"][number]:
            met.setdefault(token, place)
    if not met:
        return {}
    NOTES.append(unknown_note([(token, f"{unit} {place + 1}") for token, place in met.items()]))
    return {"unknown": list(met), "unknown_places": list(met.values())}


def read(vocabulary: dict, text: str) -> tuple[list[str], list[int]]:
    """The symbols of a text as they are written, and their numbers; which the model does not know is noted."""
    numbers, reader = numbers_of(vocabulary, text), READERS[vocabulary["kind"]]
    if hasattr(reader, "tokens_of"):
        tokens = reader.tokens_of(vocabulary, text)
        unknown_in(vocabulary, tokens, numbers)
    else:  # pieces of words, which are never unknown
        tokens = [text_of(vocabulary, [number]) for number in numbers]
    return tokens, numbers


def text_of(vocabulary: dict, numbers: list[int]) -> str:
    """The text of symbols' numbers."""
    return READERS[vocabulary["kind"]].text_of(vocabulary, numbers)


class Asked:
    """A model: inputs by name to outputs by name."""

    def __init__(self, name: str) -> None:
        self.model = onnxruntime.InferenceSession(str(HERE / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        self.inputs = [given.name for given in self.model.get_inputs()]
        self.outputs = [output.name for output in self.model.get_outputs()]
        self.metadata = self.model.get_modelmeta().custom_metadata_map
        if self.metadata["vocabulary"] != mark_of(vocabularies()):
            raise ValueError(f"codecs.json is of another model than {name}.onnx. Copy the export's whole folder.")

    def __call__(self, **inputs: np.ndarray) -> dict:
        return dict(zip(self.outputs, self.model.run(None, inputs), strict=True))

    def start(self) -> dict:
        """The states of one sequence before its first symbol: zeros; what comes out as state_…_next goes in next."""
        types = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        shapes = {i.name: (types[i.type], i.shape) for i in self.model.get_inputs() if i.name.startswith("state_")}
        return {
            name: np.zeros([1 if axis == "batch" else axis if isinstance(axis, int) else 0 for axis in shape], kind)
            for name, (kind, shape) in shapes.items()
        }


def following(said: dict) -> dict:
    """The states that go in next."""
    return {name.removesuffix("_next"): value for name, value in said.items() if name.endswith("_next")}
