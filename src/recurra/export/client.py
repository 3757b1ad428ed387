"""`client.py`: a small program that asks an exported model, with numpy and onnxruntime alone.

It is modules of ours, which are run and tested as they stand, one below the other: each behind those that it imports,
and without the lines that import them.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Sequence
from typing import Any

from recurra.tasks.contract import Portable

CLIENTS = "recurra.export.clients"
VOCABULARIES = {
    "character": "characters",
    "byte": "octets",
    "word": "lines",
    "tokens": "tokens",
    "subwords": "subwords",
    "bases": "bases",
    "log-mel": "sounds",
    "line-image": "pictures",
    "picture": "squares",
}
"""By kind: the module that a vocabulary, or a file, is read with."""
OF_FILES = {"log-mel": "recording.wav", "line-image": "line.png", "picture": "picture.jpg"}
"""Those of files, whose names the program is given: such a name."""
OURS = re.compile(r"^from (recurra\.[\w.]+) import .*\n", re.MULTILINE)
FUTURE = "from __future__ import annotations\n"
HEADER = f'''"""Asks the model beside this file; needs numpy and onnxruntime, nothing else.

    python client.py "…"
    python client.py "…" --top 3
"""

{FUTURE}
import sys
'''
FOOTER = """

if __name__ == "__main__":
    needed, words, top = answer.__code__.co_argcount - len(answer.__defaults__ or ()), sys.argv[1:], {}
    if words[-2:-1] == ["--top"] and words[-1].isdecimal():
        top, words = {"top": int(words[-1])}, words[:-2]
    if not needed <= len(words) <= 1:
        sys.exit('usage: python client.py GIVEN [--top N]')
    said = answer(*words, **top)
    print(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))
    print("".join(f"{note}\\n" for note in NOTES), file=sys.stderr, end="")
"""


def no_client(run: Any) -> str:
    """Why no client can ask a run as it is asked when nothing else is said; empty: one can."""
    if not isinstance(run.model.task, Portable):
        return "no program without recurra makes the answers of its task"
    lacking = [kind for kind in kinds_of(run) if kind not in VOCABULARIES]
    if lacking:
        return f"no client reads {lacking[0]}"
    search = run.options()
    drawn = getattr(search, "draws", False) or getattr(search, "form", False)
    return f"its [search] is: {search.words}" if drawn else ""


def kinds_of(run: Any) -> list[str]:
    """The kinds of the codecs that a client reads and writes by."""
    codecs = run.model.codecs
    return [codecs[name].record()["kind"] for name in ("input", "target") if name in codecs]


def client(way: str, kinds: Sequence[str]) -> str:
    """The program that asks in a `way`, a module of `recurra.export.clients`, with vocabularies of these kinds."""
    modules: dict[str, str] = {}
    for kind in kinds:
        modules |= _modules(f"{CLIENTS}.{VOCABULARIES[kind]}")
    modules |= _modules(f"{CLIENTS}.{way}")
    files = next((OF_FILES[kind] for kind in kinds if kind in OF_FILES), "")
    header = HEADER.replace('"…"', files) if files else HEADER
    footer = FOOTER.replace("GIVEN", "FILE" if files else '"the text, in quotation marks"')
    return header + "\n\n".join(text.replace(FUTURE, "").strip("\n") for text in modules.values()) + "\n" + footer


def _modules(name: str) -> dict[str, str]:
    """A module's text by its name, behind those of ours that it imports, and theirs."""
    text = inspect.getsource(importlib.import_module(name))
    found: dict[str, str] = {}
    for other in OURS.findall(text):
        found |= _modules(other)
    return found | {name: OURS.sub("", text)}
