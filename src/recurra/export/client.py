"""`client.py`: a small program that asks an exported model, with numpy and onnxruntime alone.

It is put together from modules of ours that are run and tested as they stand: their functions, without their imports.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recurra.decoding.search import Search
from recurra.errors import ConfigError

TASKS = {
    "generate": "generate",
    "tag": "labels",
    "classify": "labels",
    "fill": "fill",
    "transduce": "transduce",
    "answer": "story",
}
VOCABULARIES = {
    "character": "characters",
    "byte": "octets",
    "word": "lines",
    "tokens": "tokens",
    "subwords": "subwords",
}
"""By kind: the module that a vocabulary is read with."""
SEARCH = ("BEAM", "LENGTH_PENALTY", "NO_REPEAT", "LONGEST")
"""What a client that translates calls the settings of a search."""
HEADER = '''"""Asks the model beside this file; needs numpy and onnxruntime, nothing else.

    python client.py "…"
"""

from __future__ import annotations

'''
FOOTER = """


if __name__ == "__main__":
    if len(sys.argv) not in {counts}:
        sys.exit('usage: python client.py "the text, in quotation marks"')
    said = answer(*sys.argv[1:2])
    print(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))
"""


@dataclass
class Definition:
    """A function, class or constant of a module."""

    names: tuple[str, ...]
    text: str
    uses: frozenset[str]


def no_client(run: Any) -> str:
    """Why no client can ask a run as it is asked when nothing else is said; empty: one can."""
    if run.config["task"]["kind"] not in TASKS:
        return "its task is a plugin's"
    lacking = [kind for name in _read(run) if (kind := run.model.codecs[name].record()["kind"]) not in VOCABULARIES]
    if lacking:
        return f"no client reads {lacking[0]}"
    options = run.options()
    return (
        f"its [search] is: {options.words}" if getattr(options, "draws", False) or getattr(options, "form", 0) else ""
    )


def _read(run: Any) -> tuple[str, ...]:
    """The fields that a client reads and writes."""
    return ("input", "target") if run.config["task"]["kind"] == "transduce" else ("input",)


def client(run: Any) -> str:
    """The program for a run; of one that writes for a source, with its search if none is named.

    Raises ConfigError for a vocabulary that no client can read: a plugin's.
    """
    task, codecs = run.config["task"]["kind"], run.model.codecs
    search: Search | None = run.options() if isinstance(run.options(), Search) else None
    readers = {}
    for name in _read(run):
        kind = codecs[name].record()["kind"]
        if kind not in VOCABULARIES:
            raise ConfigError(
                f"a client without recurra cannot read the vocabulary {kind!r}, which is a plugin's. It reads "
                f"{', '.join(VOCABULARIES)}."
            )
        readers[name] = VOCABULARIES[kind]
    modules = [f"recurra.export.clients.{name}" for name in dict.fromkeys(readers.values())]
    found, imports = _definitions("recurra.export.clients.common")
    data = [f"recurra.data.{name}" for name in ("mark", "words", "join")]
    for module in (*data, *modules, f"recurra.export.clients.{TASKS[task]}"):
        definitions, own = _definitions(module, apart=len(modules) > 1 and module in modules)
        found += definitions
        imports += own
    if task == "transduce":
        found = [one for one in found if "source_numbers" not in one.names]
        source, target = (
            _called(f, readers[n], len(modules) > 1) for f, n in (("numbers_of", "input"), ("text_of", "target"))
        )
        line = f"source_numbers, target_text = {source}, {target}"
        found.insert(-1, Definition(("source_numbers", "target_text"), line, frozenset((source, target))))
        if search is not None:
            (said,) = (one for one in found if SEARCH[0] in one.names)
            values = (search.beam, search.length_penalty, search.no_repeat, search.longest)
            said.text = f"{', '.join(SEARCH)} = {', '.join(map(repr, values))}"
    kept = _reached(found, {"answer"})
    words = frozenset({"sys", "json"}).union(*(one.uses for one in kept))
    lines = sorted({line for line, name in imports if name in words or name in ("json", "sys")})
    plain, ours = ([one for one in lines if _of_others(one) == others] for others in (False, True))
    footer = FOOTER.format(counts="(1, 2)" if task == "generate" else "(2,)")  # of words; a prompt may be left out
    return HEADER + "\n".join([*plain, "", *ours]) + "\n\n" + "\n\n\n".join(one.text for one in kept) + footer


def _definitions(module: str, apart: bool = False) -> tuple[list[Definition], list[tuple[str, str]]]:
    """What a module defines, and its imports of other packages with the names they bind. `apart`: its names are
    made its own, because another module has the same."""
    source = inspect.getsource(importlib.import_module(module))
    found: list[Definition] = []
    imports: list[tuple[str, str]] = [("import sys", "sys"), ("import json", "json")]
    for node in ast.parse(source).body:
        text = ast.get_source_segment(source, node) or ""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if not text.startswith(("from recurra", "from __future__")):
                imports += [(text, (alias.asname or alias.name)) for alias in node.names]
        elif isinstance(node, ast.Expr):  # a docstring, of the module or of the constant above it
            if found:
                found[-1].text += f"\n{text}"
        else:
            found.append(Definition(_names(node), text, _uses(node)))
    if apart:
        mine = {name: _called(name, module.rpartition(".")[2], True) for one in found for name in one.names}
        for one in found:
            one.names = tuple(mine[name] for name in one.names)
            one.uses = frozenset(mine.get(name, name) for name in one.uses)
            one.text = re.sub("|".join(rf"\b{name}\b" for name in mine), lambda m: mine[m[0]], one.text)
    return found, imports


def _called(name: str, module: str, apart: bool) -> str:
    """What a name of a module is called where others have the same."""
    return f"{module}_{name}" if apart and name.endswith("_of") else name


def _names(node: ast.stmt) -> tuple[str, ...]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return (node.name,)
    assert isinstance(node, ast.Assign), ast.dump(node)
    return tuple(n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))


def _uses(node: ast.stmt) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _reached(found: Sequence[Definition], wanted: set[str]) -> list[Definition]:
    """The definitions that are needed for some names, in their order."""
    kept: list[Definition] = []
    while len(more := [one for one in found if wanted.intersection(one.names)]) > len(kept):
        kept = more
        wanted = wanted.union(*(one.uses for one in kept))
    return kept


def _of_others(line: str) -> bool:
    """Whether an import is of a package that does not come with Python."""
    return "numpy" in line or "onnxruntime" in line
