"""Recipes: read, overridden, checked, written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra import config, registry
from recurra.errors import ConfigError

NAMES = config.recipe_names()


def test_the_package_has_its_recipes() -> None:
    assert {"char-lm", "word-lm-small", "demo-char-lm"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_the_parts_it_names(name: str) -> None:
    recipe = config.load_recipe(name)
    config.check(recipe)
    assert recipe["description"].endswith(".")
    assert config.read(config.dump_toml(recipe)) == recipe


def test_a_recipe_is_found_by_its_path(tmp_path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(config.recipe_path("char-lm").read_text(encoding="utf-8"), encoding="utf-8")
    assert config.load_recipe(mine) == config.load_recipe("char-lm")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("char-ln", "unknown recipe 'char-ln': did you mean 'char-lm'"),
        ("none.toml", "there is no recipe file none.toml. `recurra recipes` lists"),
        ("folder/none", "there is no recipe file folder/none."),
    ],
)
def test_an_unknown_recipe(recipe: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.load_recipe(recipe)


def test_a_broken_recipe_names_file_and_line(tmp_path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[data]\n[core\n")
    with pytest.raises(ConfigError, match=r"broken.toml is no TOML: .*line 2.* A recipe looks like"):
        config.load_recipe(broken)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"broken.toml.* is not? (TOML|valid UTF-8)"):
        config.load_recipe(broken)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("core.cell=lstm", "lstm"),
        ("core.cell = peephole-lstm ", "peephole-lstm"),
        ("core.size=512", 512),
        ("core.rate=1e-3", 0.001),
        ("core.tied=true", True),
        ("core.betas=[0.9, 0.99]", [0.9, 0.99]),
        ('core.name="two words"', "two words"),
        ("core.name=two words", "two words"),
        ("core.path=a/b.txt", "a/b.txt"),
        ("core.clip=none", None),
        ("core.equations=h = tanh(s)", "h = tanh(s)"),
        ('core.equations=state: h\nh = tanh(s) * unit("b")\n', 'state: h\nh = tanh(s) * unit("b")'),
        ("core.schedule={kind = 'plateau', patience = 2}", {"kind": "plateau", "patience": 2}),
    ],
)
def test_settings_are_toml_or_bare_words(written: str, value: object) -> None:
    ((name, parsed),) = config.parse_settings([written]).items()
    assert name == written.partition("=")[0].strip()
    assert parsed == value


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("core.cell", "--set core.cell is no setting. Write --set section.key=value"),
        ("core.cell=", "--set core.cell= is no setting"),
        ("core.betas=[0.9, 0.99", "--set core.betas=[0.9, 0.99: "),
        ('core.name="lstm', "Is a bracket or a quote missing?"),
    ],
)
def test_a_setting_that_cannot_be_read(written: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.parse_settings([written])


def test_settings_replace_values_in_a_copy() -> None:
    recipe = {
        "core": {"kind": "recurrent", "cell": "gru"},
        "training": {"schedule": {"kind": "plateau", "patience": 1}},
    }
    changed = config.with_settings(recipe, {"core.cell": "lstm", "training.schedule.patience": 3, "data.set": "ptb"})
    assert changed == {
        "core": {"kind": "recurrent", "cell": "lstm"},
        "training": {"schedule": {"kind": "plateau", "patience": 3}},
        "data": {"set": "ptb"},
    }
    assert recipe["core"]["cell"] == "gru"


def test_what_another_kind_drops_is_told() -> None:
    recipe = {
        "core": {"kind": "recurrent", "cell": "gru", "hidden_size": 12},
        "embedder": {"kind": "symbols", "size": 8, "dropout": None},
        "training": {"optimiser": {"kind": "adam", "momentum": 0.5}},
        "alternative": {"tdnn": {"core": {"delays": 2}}},
    }
    said = config.told_of_kinds(
        recipe, {"embedder.kind": "words", "embedder.size": 9, "training.optimiser.kind": "sgd", "core.kind": "tdnn"}
    )
    assert said == [
        'embedder.kind = "words": what the recipe sets for "symbols" is left out (dropout = "none").',
        'training.optimiser.kind = "sgd": what the recipe sets for "adam" is left out (momentum = 0.5).',
    ]
    assert config.told_of_kinds(recipe, {"embedder.kind": "symbols", "core.cell": "lstm"}) == []
    (told,) = config.told_of_kinds(recipe, {"core.kind": "transformer"})
    assert told.endswith('(cell = "gru", hidden_size = 12).')


@pytest.mark.parametrize("order", [1, -1])
def test_another_kind_drops_the_former_kinds_keys_whatever_the_order(order: int) -> None:
    recipe = {"vocabulary": {"kind": "character", "min_count": 3}}
    settings = dict([("vocabulary.kind", "word"), ("vocabulary.lower", True)][::order])
    assert config.with_settings(recipe, settings) == {"vocabulary": {"kind": "word", "lower": True}}
    assert config.with_settings(recipe, {"vocabulary.kind": "character"}) == recipe


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hidden_size", "'hidden_size' names no setting. Write section.key"),
        ("core.", "'core.' names no setting"),
        ("cor.cell", "unknown section 'cor': did you mean 'core'? Known: description, data, reader"),
        (
            "training.schedule.patience",
            "training.schedule = 'plateau' has no keys, so training.schedule.patience cannot",
        ),
    ],
)
def test_a_setting_that_has_no_place(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.with_settings({"training": {"schedule": "plateau"}}, {name: 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"core.hiden_size": 3}, "unknown key core.hiden_size: did you mean 'hidden_size'"),
        ({"core.hidden_size": "big"}, "core.hidden_size = 'big' is a str, expected int."),
        ({"core.cell": "lsmt"}, "unknown cell 'lsmt': did you mean 'lstm'"),
        ({"core.kind": "recurent"}, "unknown core 'recurent': did you mean 'recurrent'"),
        ({"training.optimiser": "adan"}, "unknown optimiser 'adan': did you mean 'adam' or 'adamw'"),
        ({"training.schedule.kind": "platau"}, "unknown schedule 'platau': did you mean 'plateau'"),
        ({"data.valid_fractoin": 0.1}, "unknown key data.valid_fractoin: did you mean 'valid_fraction'"),
        ({"reader.encodng": "latin-1"}, "unknown key reader.encodng: did you mean 'encoding'"),
    ],
)
def test_check_refuses_what_no_part_knows(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.check(config.with_settings(config.load_recipe("char-lm"), settings))


def test_check_refuses_recipes_of_another_form() -> None:
    recipe = config.load_recipe("char-lm")
    with pytest.raises(
        ConfigError, match=re.escape("the recipe has no section [core]. `recurra recipes show char-lm`")
    ):
        config.check_names({name: section for name, section in recipe.items() if name != "core"})
    with pytest.raises(ConfigError, match=r"^\[core\] names no kind\. Known: .*recurrent, tdnn"):
        config.check_names(recipe | {"core": {"cell": "lstm"}})
    with pytest.raises(ConfigError, match=r"core = 'lstm' is no section. Write \[core\]"):
        config.check_names(recipe | {"core": "lstm"})
    with pytest.raises(ConfigError, match="unknown section 'cores': did you mean 'core'"):
        config.check_names(recipe | {"cores": {}})


WITH_ALTERNATIVE = config.load_recipe("char-lm") | {
    "alternative": {
        "tdnn": {
            "core": {"hidden_size": 7},
            "embedder": {"dropout": 0.5},
            "training": {"schedule": {"kind": "plateau", "patience": 1}, "epochs": 3},
            "target": {"kind": "character"},
        }
    }
}


def test_an_alternative_comes_with_the_core_it_is_called_like() -> None:
    own = config.load_recipe("char-lm")
    assert config.with_settings(WITH_ALTERNATIVE, {"training.epochs": 1}) == own | {
        "training": own["training"] | {"epochs": 1}
    }
    changed = config.with_settings(WITH_ALTERNATIVE, {"training.epochs": 9, "core.kind": "tdnn", "core.dropout": 0.1})
    assert changed["core"] == {"kind": "tdnn", "hidden_size": 7, "dropout": 0.1}  # nothing of the recipe's core
    assert changed["embedder"] == own["embedder"] | {"dropout": 0.5}  # key by key
    assert changed["training"] == own["training"] | {"schedule": {"kind": "plateau", "patience": 1}, "epochs": 9}
    assert changed["target"] == {"kind": "character"} and "alternative" not in changed
    changed["training"]["schedule"]["patience"] = 5
    assert WITH_ALTERNATIVE["alternative"]["tdnn"]["training"]["schedule"]["patience"] == 1
    assert config.with_settings(WITH_ALTERNATIVE, {"core.kind": "recurrent"}) == own


def test_an_alternative_is_checked_with_the_recipe() -> None:
    config.check(WITH_ALTERNATIVE)
    assert config.read(config.dump_toml(WITH_ALTERNATIVE)) == WITH_ALTERNATIVE
    for alternative, message in (
        ({"tdnm": {}}, "unknown core 'tdnm': did you mean 'tdnn'"),
        ({"tdnn": 3}, "alternative.tdnn = 3 is no table. Write [alternative.NAME.SECTION]"),
        ({"tdnn": {"core": "x"}}, "alternative.tdnn.core = 'x' is no table."),
        (3, "alternative = 3 is no section."),
        ({"tdnn": {"trainin": {}}}, "unknown section 'trainin': did you mean 'training'"),
        ({"tdnn": {"embedder": {"size": "big"}}}, "embedder.size = 'big' is a str, expected int"),
        ({"tdnn": {"core": {"kind": "tdnn", "dleays": 3}}}, "unknown key alternative.tdnn.core.dleays: did you mean"),
        ({"tdnn": {"core": {"dleays": 3}}}, "unknown key core.dleays: did you mean 'delays'"),
        ({"tdnn": {"training": {"schedule": "platau"}}}, "unknown schedule 'platau': did you mean 'plateau'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            config.check(config.load_recipe("char-lm") | {"alternative": alternative})


def test_the_targets_symbols_are_a_vocabulary_of_their_own() -> None:
    recipe = config.load_recipe("char-lm")
    config.check(recipe | {"target": {"kind": "character", "min_count": 2}})
    for target, message in (
        ({"kind": "charakter"}, "unknown codec 'charakter': did you mean 'character'"),
        ({"kind": "character", "min_cuont": 2}, "unknown key target.min_cuont: did you mean 'min_count'"),
        ({"kind": "character", "min_count": "2"}, "target.min_count = '2' is a str, expected int"),
        ({"min_count": 2}, "[target] names no kind. Known: bases, byte, calendar, character"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            config.check(recipe | {"target": target})


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from recurra import config; config.check_names(config.load_recipe('char-lm'));"
        "assert not {'torch', 'sympy', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_differences_name_every_changed_setting() -> None:
    before = {"core": {"cell": "lstm", "size": 3}, "training": {"schedule": {"kind": "plateau"}, "betas": [0.9, 0.99]}}
    after = {"core": {"cell": "gru", "size": 3}, "training": {"schedule": {"patience": 2}, "betas": (0.9, 0.99)}}
    assert config.differences(before, after) == {
        "core.cell": ("lstm", "gru"),
        "training.schedule.kind": ("plateau", None),
        "training.schedule.patience": (None, 2),
    }
    assert config.differences(before, before) == {}


def test_lines_are_written_as_lines() -> None:
    equations = 'f = sigmoid(f)\nh = f * h + tanh(n) * unit("gain", 1.0)\n'
    written = config.dump_toml({"core": {"kind": "recurrent", "equations": equations}})
    assert written == f'[core]\nkind = "recurrent"\nequations = """\n{equations}"""\n'
    assert config.read(written)["core"]["equations"] == equations


@given(st.text('a"\n\\\r\t ', max_size=8))
def test_lines_are_read_back_as_they_were(lines: str) -> None:
    assert config.read(config.dump_toml({"core": {"equations": lines}})) == {"core": {"equations": lines}}


text = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda word: word != "none")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, st.dictionaries(text, values, max_size=4) | text, max_size=4))
def test_what_is_written_is_read_back(recipe: dict) -> None:
    assert config.read(config.dump_toml(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 9999, r"nested deeper than 16 levels"),
        ("a = " + "[" * 17 + "]" * 17, r"nested deeper than 16 levels"),
        ("a = " + "9" * 5000, r"Exceeds the limit"),
        ("a = 9223372036854775808", r"9223372036854775808 is beyond 64 bits"),
        ("a = [1979-05-27]", r"1979-05-27 is a date or a time, which no setting is"),
        ("[a]\nb = 07:32:00", r"07:32:00 is a date or a time"),
    ],
)
def test_toml_that_no_recipe_is_written_in(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"a\.toml is no TOML: .*{said}"):
        config.load_recipe(tmp_path / "a.toml")


def test_a_recipe_beyond_its_size_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"#" * (config.LARGEST + 1))
    with pytest.raises(ConfigError, match=r"it has 1,048,577 bytes, expected 1,048,576 at most"):
        config.load_recipe(tmp_path / "a.toml")


def test_settings_of_any_characters_are_read_or_refused() -> None:
    assert config.parse_settings(["a.b=\U0001f469 x"]) == {"a.b": "\U0001f469 x"}
    for value, said in (("[" * 9999, "nested deeper"), ("9" * 5000, "Exceeds the limit"), ("1979-05-27", "is a date")):
        with pytest.raises(ConfigError, match=said) as error:
            config.parse_settings([f"a.b={value}"])
        assert len(str(error.value)) < 500
    with pytest.raises(ConfigError, match=r"core\.cell = '\\udcff' is no UTF-8"):
        config.with_settings({}, {"core.cell": "\udcff"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, 1e39, -1e39])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=r"core\.dropout = .*, expected a finite number|is a int, expected"):
        registry.construct("core", {"kind": "recurrent", "dropout": value})


@pytest.mark.parametrize("kind", [[], {}, 5, 1.5, True])
def test_a_kind_is_a_name(kind: object) -> None:
    recipe = config.load_recipe("tagger")
    for table in (recipe["core"], recipe["embedder"]["spelling"]):
        before, table["kind"] = table["kind"], kind
        with pytest.raises(ConfigError, match=r"\.?kind = .*, expected the name of a (core|spelling)"):
            config.check(recipe)
        table["kind"] = before
    with pytest.raises(ConfigError, match=r"core\.kind = .*, expected the name of a core"):
        registry.construct("core", {"kind": kind})


@pytest.mark.parametrize(("kept_as", "columns"), [("vocabulary.json", (3, -1)), ("codecs.json", (2, -1))])
def test_a_former_run_counted_columns_from_0(tmp_path: Path, kept_as: str, columns: tuple[int, int]) -> None:
    (tmp_path / "config.toml").write_text('[reader]\nkind = "columns"\ntoken = 2\ntag = -1\n', encoding="utf-8")
    (tmp_path / kept_as).write_text("{}", encoding="utf-8")
    reader = config.load_recipe(tmp_path / "config.toml")["reader"]
    assert (reader["token"], reader["tag"]) == columns
    for _ in range(2):  # going on with a run writes its config each time
        config.write_config(tmp_path / "config.toml", config.load_recipe(tmp_path / "config.toml"))
        assert config.load_recipe(tmp_path / "config.toml")["reader"] == reader
