from __future__ import annotations

import json

import pytest

from recurra import cli, registry
from recurra.equations import show
from recurra.equations.parse import parse


def test_list_has_a_sentence_for_every_cell(capsys) -> None:
    assert cli.call(["cells"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == registry.names("cell") + registry.names("tree-cell")
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


def test_a_cell_over_trees(capsys) -> None:
    assert cli.call(["cells", "child-sum-lstm"]) == 0
    said = capsys.readouterr().out
    assert "[a_f] = W_ih x + b_ih + W_each h_k, for every child k" in said and "total = Σ_k each" in said
    assert cli.call(["cells", "tree-lstm", "--latex"]) == 0
    assert "W_{left}\\, h_{left} + W_{right}\\, h_{right}" in capsys.readouterr().out


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


def test_equations_in_a_file(tmp_path, capsys) -> None:
    file = tmp_path / "my-cell.txt"
    file.write_text("# Adds a σ.\nh = tanh(s) + 0.5 * h\n", encoding="utf-8")
    cell = parse(file.read_text(encoding="utf-8"), name="my-cell.txt", where=str(file))
    assert cli.call(["cells", "--file", str(file)]) == 0
    said = capsys.readouterr().out
    assert said == show.text(cell) + "\n"
    assert said.startswith(f"my-cell.txt: Adds a σ.\nsource: {file}\n\nforward")
    assert cli.call(["cells", "--file", str(file), "--latex"]) == 0
    assert capsys.readouterr().out == show.latex(cell) + "\n"
    assert cli.call(["cells", "--file", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "my-cell.txt",
        "text": show.text(cell),
        "latex": show.latex(cell),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"h = tanh(s)\nh = h + q\n", "cell.txt:2:9: unknown name 'q'."),
        (b"h = tahn(s)\n", "cell.txt:1:5: unknown function 'tahn': did you mean 'tanh'"),
        (b"h = tanh(\xff)\n", "cell.txt:1: byte 0xff is not valid UTF-8. Save it as UTF-8."),
        (None, "cell.txt: no such file"),
    ],
)
def test_a_file_that_says_no_cell(content: bytes | None, message: str, tmp_path, capsys) -> None:
    file = tmp_path / "cell.txt"
    if content is not None:
        file.write_bytes(content)
    assert cli.call(["cells", "--file", str(file)]) == 2
    assert f"{tmp_path}/{message}" in capsys.readouterr().err
    assert cli.call(["cells", "lstm", "--file", str(file)]) == 2
    assert f"lstm and --file {file}: one cell at a time. Leave one of them away." in capsys.readouterr().err
