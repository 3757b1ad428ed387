from __future__ import annotations

import json

from recurra import cli, registry
from recurra.equations import show


def test_list_has_a_sentence_for_every_cell(capsys) -> None:
    assert cli.call(["cells"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == registry.names("cell")
    assert all(sentence.endswith(".") for _, sentence in lines)
    assert cli.call(["cells", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == dict(lines)


def test_one_cell_as_text_and_latex(capsys) -> None:
    cell = registry.find("cell", "lstm")
    assert cli.call(["cells", "lstm"]) == 0
    assert capsys.readouterr().out == show.text(cell) + "\n"
    assert cli.call(["cells", "lstm", "--latex"]) == 0
    assert capsys.readouterr().out == show.latex(cell) + "\n"
    assert cli.call(["cells", "lstm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "lstm", "text": show.text(cell), "latex": show.latex(cell)}


def test_a_cell_of_a_plugin(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from recurra.equations.language import cell, tanh\nfrom recurra.registry import part\n\n\n"
        "@part('cell', 'mine')\n@cell(gates='a', state='h', source='mine')\n"
        "def mine(a, h):\n    '''A cell of one's own.'''\n    return tanh(a)\n"
    )
    assert cli.call(["cells", "mine", "--plugin", str(plugin)]) == 0
    assert capsys.readouterr().out.startswith("mine: A cell of one's own.")
