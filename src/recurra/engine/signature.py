"""A layer's equations as a string that says itself, and the cell of such a string in whatever process reads it.

A recorded program holds the string. It names the cell, gives a fingerprint of what its equations compute, the text of
a cell that was read from text, and the variant. So a program runs on exactly these equations or not at all.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from recurra.equations.derive import Variant
from recurra.equations.language import Cell
from recurra.equations.parse import parse
from recurra.errors import ConfigError, UnknownName
from recurra.forms import NOTHING, TRUTH, Either, Items, Table, Text, read_json_text
from recurra.registry import find

FORM = Table(
    {
        "cell": Text(),
        "content": Text(),
        "text": Either((NOTHING, Items(Text(), most=3, least=3))),
        "lowest": TRUTH,
        "projected": TRUTH,
        "recurrent_mask": TRUTH,
        "zoneout": Items(Text()),
    },
    others=None,
)
AGAIN = "Export the layer again with this version of recurra."

_known: dict[str, Cell] = {}
"""Cells of layers made in this process, by their content: some have neither a registered name nor a text."""


@lru_cache(maxsize=256)
def content(cell: Cell) -> str:
    """A fingerprint of what a cell computes: its names, gates, states and equations, however they are written."""
    numbers: dict[int, int] = {}
    found: dict[tuple[object, ...], int] = {}
    for node in cell.nodes:
        entry = (node.op, node.label, node.parts, node.wide, tuple(numbers[id(a)] for a in node.args))
        numbers[id(node)] = found.setdefault(entry, len(found))
    results = [numbers[id(result)] for result in cell.results]
    text = json.dumps([cell.name, cell.gates, cell.state, cell.bias, list(found), results])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def write(cell: Cell, variant: Variant, lowest: bool = False) -> str:
    """One line of JSON that `read` understands; the layer's equations are `cell.lowest` or `cell.upper`."""
    used = cell.lowest if lowest else cell.upper
    _known[content(used)] = used
    record = {
        "cell": cell.name,
        "content": content(used),
        "text": cell.remade[1] if cell.remade is not None and cell.remade[0] is parse else None,
        "lowest": lowest,
        "projected": variant.projected,
        "recurrent_mask": variant.recurrent_mask,
        "zoneout": variant.zoneout,
    }
    return json.dumps(record)


@lru_cache(maxsize=256)
def read(text: str) -> tuple[Cell, Variant]:
    """The equations of a layer and what was added to them; raises ConfigError unless they are here as they were."""
    record = read_json_text(text, "a layer of a recorded program", FORM, ConfigError, AGAIN)
    cell = _known.get(record["content"]) or _remade(record)
    variant = Variant(record["projected"], record["recurrent_mask"], tuple(record["zoneout"]))
    for name in variant.zoneout:
        if name not in cell.state:
            raise ConfigError(
                f"a layer of a recorded program has zoneout of {name!r}, no state of {cell.name!r}. {AGAIN}"
            )
    return cell, variant


def _remade(record: dict[str, object]) -> Cell:
    """The cell from its text or by its registered name, if it computes what it did where the program was made."""
    name, text = record["cell"], record["text"]
    try:
        cell: Cell = parse(*text) if isinstance(text, list) else find("cell", str(name))
    except UnknownName as error:
        raise ConfigError(
            f"this program has a layer of the cell {name!r}, which is not registered here. Import the module that "
            "registers it, or load its plugin, before the program runs: recurra.registry.load_plugin('FILE.py'), or "
            "--plugin FILE.py."
        ) from error
    cell = cell.lowest if record["lowest"] else cell.upper
    if content(cell) != record["content"]:
        raise ConfigError(
            f"this program has a layer of the cell {name!r}, whose equations here ({content(cell)}) are not those it "
            f"was made with ({record['content']}). Take the plugin (--plugin FILE.py) or the version of recurra that "
            "it was made with, or export the layer again."
        )
    return cell
