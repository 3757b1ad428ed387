"""Files of exported runs, changed one at a time, and asked by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import onnx

from recurra.export.opened import load_export
from recurra.export.write import export
from recurra.runs.run import load_run
from recurra.testing.fuzzing.mutations import json_text, mutated_bytes, mutated_value, odd_value
from recurra.testing.fuzzing.runs import ask, make_runs


class Exports:
    """The metadata, vocabulary or bytes of an export changed, with the mark of its vocabulary left as it is."""

    name = "exports"

    def __init__(self, folder: Path) -> None:
        (folder / "trained").mkdir(exist_ok=True)
        self._files: dict[Path, dict[str, bytes]] = {}
        for name, path in make_runs(folder / "trained", ("writer", "slots", "pairs")).items():
            out = folder / f"export-{name}"
            export(load_run(path, device="cpu"), out)
            self._files[out] = {
                file.name: file.read_bytes() for file in sorted(out.iterdir()) if file.suffix in (".onnx", ".json")
            }

    def make(self, random: Random) -> bytes:
        folder = random.choice(list(self._files))
        file = random.choice(list(self._files[folder]))
        raw = self._files[folder][file]
        if random.random() < 0.1:
            raw = mutated_bytes(raw, random)
        elif file.endswith(".json"):
            raw = json_text(mutated_value(json.loads(raw), random), random).encode("utf-8", errors="surrogatepass")
        else:
            raw = _properties_changed(raw, random)
        return f"{folder.name} {file}\n".encode() + raw

    def take(self, given: bytes) -> bool:
        head, _, raw = given.partition(b"\n")
        name, file = head.decode().split(" ")
        folder = next(each for each in self._files if each.name == name)
        (folder / file).write_bytes(raw)
        try:
            ask(load_export(folder))
        finally:
            (folder / file).write_bytes(self._files[folder][file])
        return True


def _properties_changed(raw: bytes, random: Random) -> bytes:
    """A model whose metadata are others."""
    model = onnx.load_from_string(raw)
    about = {each.key: each.value for each in model.metadata_props}
    key = random.choice(list(about))
    if random.random() < 0.15:
        del about[key]
    elif about[key].startswith("{"):
        about[key] = json_text(mutated_value(json.loads(about[key]), random), random)
    else:
        about[key] = random.choice((json_text(odd_value(random), random), "", "-1", "9" * 30, "x"))
    del model.metadata_props[:]
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value.encode("utf-8", "replace").decode())
    found: bytes = model.SerializeToString()
    return found
