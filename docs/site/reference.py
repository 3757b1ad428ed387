"""The reference of the Python names: each page of docs/api/ gets the public names of the package it is called by.

A public name, or a public member of a class, that says nothing of itself is a warning.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

logger = logging.getLogger(__name__)
CODE = re.compile(r"(`[^`]+`)")


def read_page(app: Sphinx, page: str, content: list[str]) -> None:
    folder, _, name = page.rpartition("/")
    if folder != "api":
        return
    package = importlib.import_module("recurra" if name == "recurra" else f"recurra.{name}")
    content[0] += "\n\n## Names\n\n```{eval-rst}\n" + "\n".join(directives(package)) + "\n```\n"


def public(package: ModuleType) -> list[str]:
    """What the package lists; of a module that lists nothing, its classes and functions without an underscore."""
    if hasattr(package, "__all__"):
        return [name for name in package.__all__ if not name.startswith("__")]
    return [name for name, thing in vars(package).items() if _own(package, name, thing)]


def _own(package: ModuleType, name: str, thing: object) -> bool:
    return not name.startswith("_") and getattr(thing, "__module__", None) == package.__name__


def directives(package: ModuleType) -> Iterator[str]:
    yield f".. py:currentmodule:: {package.__name__}"
    yield ""
    for name in public(package):
        thing, full = getattr(package, name), f"{package.__name__}.{name}"
        if inspect.isclass(thing):
            options = ["members:", "undoc-members:", "exclude-members: extra_repr"]
            options += ["show-inheritance:"] if thing.__bases__ != (object,) else []
            yield from (f".. autoclass:: {full}", *(f"   :{option}" for option in options), "")
        elif callable(thing):
            yield from (f".. autofunction:: {full}", "")
        else:
            yield from constant(package, name)


def constant(package: ModuleType, name: str) -> Iterator[str]:
    """A value is described by the string below the line that makes it, in the module that the package has it from."""
    home = home_of(package, name)
    analyzer = ModuleAnalyzer.for_module(home)
    analyzer.analyze()
    described = analyzer.attr_docs.get(("", name))
    if not described:
        logger.warning(
            "%s.%s is public and says nothing of itself: a string below it in %s", package.__name__, name, home
        )
    yield f".. py:data:: {package.__name__}.{name}"
    yield from (f"   :type: {kind}" for kind in [analyzer.annotations.get(("", name))] if kind)
    yield ""
    lines = list(described or ())
    rewrite(lines)
    yield from (f"   {line}" for line in lines)
    yield ""


def home_of(package: ModuleType, name: str) -> str:
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    froms = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return next((str(n.module) for n in froms if name in [a.asname or a.name for a in n.names]), package.__name__)


def described(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    if not any(line.strip() for line in lines):
        logger.warning("%s is public and says nothing of itself: give it a docstring", name)
    rewrite(lines)


def rewrite(lines: list[str]) -> None:
    """Docstrings are Markdown in spirit: `code` in single backticks, and every other sign is meant as it stands."""
    pieces = CODE.split("\n".join(lines))
    text = "".join(f"`{piece}`" if k % 2 else re.sub(r"([\\*|]|_\b)", r"\\\1", piece) for k, piece in enumerate(pieces))
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", described)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
