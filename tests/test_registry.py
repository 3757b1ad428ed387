"""Parts found by name, and settings compared with a constructor's signature."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Literal

import pytest

from recurra import registry, signatures
from recurra.errors import ConfigError, UnknownName
from recurra.nn.layers import Layers


class Maker:
    def __init__(
        self,
        size: int,
        rate: float = 0.5,
        name: str | None = None,
        pair: tuple[float, ...] = (0.1, 0.2),
        mode: Literal["concat", "sum"] = "concat",
        tied: bool = False,
    ) -> None:
        self.size, self.rate, self.name, self.pair, self.mode, self.tied = size, rate, name, pair, mode, tied


@pytest.mark.parametrize("kind", registry.ROOMS)
def test_every_declared_name_is_found(kind: str) -> None:
    names = registry.names(kind)
    assert names == sorted(set(names))
    assert all(registry.find(kind, name) is not None for name in names)


def test_names_are_read_without_importing_their_modules() -> None:
    code = (
        "import sys; from recurra import registry; names = registry.names('core') + registry.names('cell');"
        "assert 'recurrent' in names and 'lstm' in names; assert not {'torch', 'sympy', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_constructor_is_read_from_the_base_that_has_it() -> None:
    code = (
        "import sys; from recurra import registry; from recurra.errors import ConfigError\n"
        "assert registry.defaults('embedder', 'symbols')['dropout'] == 0.0\n"
        "assert registry.defaults('embedder', 'readings') == registry.defaults('embedder', 'symbols')\n"
        "assert registry.has_method('embedder', 'readings', 'describe')\n"
        "assert registry.has_method('embedder', 'readings', 'look_up')\n"
        "assert not registry.has_method('embedder', 'symbols', 'describe')\n"
        "try: registry.check_keys('embedder', {'kind': 'readings', 'siez': 3}, 'embedder')\n"
        "except ConfigError as error: assert 'siez: did you mean' in str(error), error\n"
        "else: raise AssertionError('a wrong key was let through')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_group_stands_for_its_fields_which_are_keys_beside_the_others() -> None:
    known = registry.defaults("decoder", "recurrent")
    assert (known["cell"], known["hidden_size"], known["context"]) == ("gru", 256, "attention")
    assert registry.defaults("core", "recurrent")["cell"] is None and "layers" not in known
    for kind, name in (("core", "recurrent"), ("core", "both-ways"), ("decoder", "recurrent")):
        assert registry.defaults(kind, name) == {
            n: p.default for n, p in signatures.keywords(registry.find(kind, name))[0].items()
        }
    settings = signatures.checked(
        registry.find("decoder", "recurrent"), {"num_layers": 2, "feeding": "input"}, "decoder"
    )
    assert settings["layers"] == Layers(cell="gru", num_layers=2) and settings["feeding"] == "input"
    with pytest.raises(ConfigError, match=r"unknown key core.hiden_size: did you mean 'hidden_size'\? Keys: cell, hid"):
        registry.check_keys("core", {"kind": "recurrent", "hiden_size": 4}, "core")
    with pytest.raises(ConfigError, match=r"unknown key core.layers"):
        registry.construct("core", {"kind": "recurrent", "layers": {"hidden_size": 4}})
    with pytest.raises(ConfigError, match=r"core.zoneout = 'much' is a str, expected float"):
        registry.construct("core", {"kind": "recurrent", "zoneout": "much"})


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown cell 'lsmt': did you mean 'lstm'.* Known: .*lstm"):
        registry.find("cell", "lsmt")
    with pytest.raises(UnknownName, match="unknown kind of part 'cel': did you mean 'cell'"):
        registry.part("cel", "mine")


def test_one_name_for_two_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_parts", {})
    monkeypatch.setattr(registry, "_origins", {})

    def register(module: str) -> object:
        """A class registered by a line that stands in `module`."""
        space = {"__name__": module, "part": registry.part}
        exec("@part('cell', 'mine')\nclass Mine: pass", space)
        return space["Mine"]

    register("a")
    again = register("a")
    assert registry.find("cell", "mine") is again
    with pytest.raises(ConfigError, match="the cell 'mine' is registered twice, by a and b"):
        register("b")
    with pytest.raises(ConfigError, match=r"the cell 'lstm' is registered twice, by recurra.cells.lstm and b"):
        exec("@part('cell', 'lstm')\nclass Mine: pass", {"__name__": "b", "part": registry.part})


def test_construct_builds_a_part_from_its_section() -> None:
    streams = registry.construct("batching", {"kind": "streams", "steps": 7})
    assert (streams.steps, streams.streams) == (7, 64)
    with pytest.raises(ConfigError, match=r"\[batching\] names no kind. Known: buckets, streams"):
        registry.construct("batching", {"steps": 7})
    with pytest.raises(ConfigError, match=r"unknown key batching.stesp: did you mean 'steps'.* Keys: streams, steps"):
        registry.construct("batching", {"kind": "streams", "stesp": 7})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": 3}, {"size": 3}),
        ({"size": 3, "rate": 2}, {"size": 3, "rate": 2.0}),
        ({"size": 3, "name": None}, {"size": 3, "name": None}),
        ({"size": 3, "name": "a"}, {"size": 3, "name": "a"}),
        ({"size": 3, "pair": [1, 0.5]}, {"size": 3, "pair": (1.0, 0.5)}),
        ({"size": 3, "mode": "sum", "tied": True}, {"size": 3, "mode": "sum", "tied": True}),
    ],
)
def test_settings_of_the_right_types_are_taken(settings: dict, expected: dict) -> None:
    checked = signatures.checked(Maker, settings, where="core")
    assert checked == expected
    assert all(type(checked[key]) is type(value) for key, value in expected.items())
    Maker(**checked)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "core.size is missing: add it to the recipe or pass --set core.size=…"),
        ({"size": 3, "rat": 1}, "unknown key core.rat: did you mean 'rate'? Keys: size, rate, name, pair, mode, tied."),
        ({"size": 3.5}, "core.size = 3.5 is a float, expected int."),
        ({"size": True}, "core.size = True is a bool, expected int."),
        ({"size": 3, "rate": "fast"}, "core.rate = 'fast' is a str, expected float."),
        ({"size": 3, "rate": False}, "core.rate = False is a bool, expected float."),
        ({"size": 3, "name": 4}, "core.name = 4 is a int, expected str | None."),
        ({"size": 3, "pair": 0.5}, "core.pair = 0.5 is a float, expected tuple[float, ...]."),
        ({"size": 3, "pair": [0.5, "b"]}, "core.pair = 'b' is a str, expected float."),
        (
            {"size": 3, "mode": "concatt"},
            "core.mode = 'concatt': did you mean 'concat'? Expected one of 'concat', 'sum'.",
        ),
        ({"size": 3, "tied": 1}, "core.tied = 1 is a int, expected bool."),
    ],
)
def test_wrong_settings_say_what_is_expected(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        signatures.checked(Maker, settings, where="core")


def test_a_plugin_registers_parts(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from recurra.registry import part\n\n\n"
        "@part('codec', 'mine')\nclass Mine:\n"
        "    def __init__(self, size: int = 2) -> None:\n        self.size = size\n"
    )
    registry.load_plugin(plugin)
    assert "mine" in registry.names("codec")
    assert registry.construct("codec", {"kind": "mine", "size": 5}).size == 5
    maker = registry.find("codec", "mine")
    assert maker.__init__.__annotations__["size"] is int  # what the registry imports from __future__ is its own affair


def test_a_plugin_that_is_no_python_file_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"plugin .*none.py is no file. Name a Python file that registers parts"):
        registry.load_plugin(tmp_path / "none.py")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"plugin .*notes.txt is no Python file"):
        registry.load_plugin(tmp_path / "notes.txt")


def test_a_plugin_may_be_named_again(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_parts", dict(registry._parts))
    plugin = tmp_path / "mine.py"
    text = "from recurra.registry import part\n\n\n@part('codec', 'mine')\nclass Mine:\n    size = {}\n"
    plugin.write_text(text.format(1))
    registry.load_plugin(plugin)
    first = registry.find("codec", "mine")
    monkeypatch.chdir(tmp_path)
    registry.load_plugin("mine.py")
    assert registry.find("codec", "mine") is first
    plugin.write_text(text.format(2))
    registry.load_plugin(plugin)
    assert registry.find("codec", "mine").size == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\nclass Mine\n", 2, "SyntaxError: expected ':'"),
        ("x = 1\n\ndef f():\n    return y\n\nf()\n", 4, "NameError: name 'y' is not defined"),
        ("raise ValueError\n", 1, "ValueError"),
        ("import math\nmath.sqrt(-1.0)\n", 2, "ValueError: .+"),
        ("import helper_of_mine\n", 1, "SyntaxError: expected ':'"),
        (
            "from recurra.registry import part\n\n@part('cel', 'mine')\nclass Mine: ...\n",
            3,
            "UnknownName: unknown kind of part 'cel': did you mean 'cell'.+",
        ),
    ],
)
def test_an_error_in_a_plugin_is_told_with_its_line(
    text: str, line: int, message: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper_of_mine.py").write_text("\n\nclass Helper\n")
    plugin = tmp_path / "mine.py"
    plugin.write_text(text)
    expected = rf"^plugin {re.escape(str(plugin))}:{line}: {message}\. Mend it there; --debug shows the traceback\.$"
    with pytest.raises(ConfigError, match=expected):
        registry.load_plugin(plugin)
    plugin.write_text("")
    registry.load_plugin(plugin)


@pytest.mark.parametrize("kind", ["reader", "codec", "embedder", "core", "task"])
def test_defaults_of_every_part_that_recipes_name_are_literals(kind: str) -> None:
    for name in registry.names(kind):
        assert registry.defaults(kind, name) is not None


VALUES = (1, -2.5, "a word", True, None, [1, 2], ["a"], {"kind": "a"})


@pytest.mark.parametrize("kind", registry.ROOMS)
def test_types_read_from_a_source_are_those_of_the_constructor(kind: str) -> None:
    """What is refused without an import is refused with one, in the same words."""
    for name in registry.ours(kind):
        if not inspect.isclass(registry.find(kind, name)):
            continue
        hints = signatures.keywords(registry.find(kind, name))[1]
        for key in registry.arguments(kind, name):
            for value in VALUES:
                try:
                    registry.check_values(kind, {"kind": name, key: value}, kind)
                except ConfigError as said:
                    with pytest.raises(ConfigError) as also:
                        signatures._convert(value, hints[key], f"{kind}.{key}")
                    assert str(also.value) == str(said)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_size": "12"}, "core.hidden_size = '12' is a str, expected int."),
        ({"dropout": "a"}, "core.dropout = 'a' is a str, expected float."),
        ({"cell": 3}, "core.cell = 3 is a int, expected str | None."),
        ({"merge": "sums"}, "core.merge = 'sums': did you mean 'sum'?"),
    ],
)
def test_values_are_compared_without_an_import(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        registry.check_values("core", {"kind": "recurrent", **settings}, "core")
    assert said in str(refused.value)
