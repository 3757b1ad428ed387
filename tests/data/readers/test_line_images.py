"""Pictures with their texts: beside each other, named by JSON lines, in archives, in folders of classes, and strings
made of digits."""

from __future__ import annotations

import json
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra import registry
from recurra.data.readers.idx import packed
from recurra.data.sample import PNG
from recurra.errors import ConfigError, DataError

pytest.importorskip("PIL.Image", reason="the extra images is not installed")
DECOMPOSED = unicodedata.normalize("NFD", "é")


def read(kind: str, *paths: Path, **settings: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in registry.construct("reader", {"kind": kind, **settings}).read(*paths)]


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder


def test_pictures_and_their_texts(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", b__png=PNG, b__gt__txt=f" {DECOMPOSED}1 \n", a__png=PNG, a__gt__txt="x", notes="")
    first, second = read("line-images", folder)
    assert first["image"].shape == (4, 6) and first["transcript"] == "x" and first["place"] == str(folder / "a.png")
    assert second["transcript"] == "é1"
    assert read("line-images", folder, unicode="NFD")[1]["transcript"] == f"{DECOMPOSED}1"
    assert read("line-images", folder, colour=True)[0]["image"].shape == (4, 6, 3)
    (folder / "a.gt.txt").rename(folder / "a.txt")
    assert "transcript" not in read("line-images", folder / "a.png")[0]  # to be read


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a__png": PNG}, r"a\.png: a picture without its text, expected a\.gt\.txt beside it"),
        ({"a__gt__txt": "x"}, r"a\.gt\.txt: a text without its picture, expected a\.png beside it"),
        ({"notes": "x"}, r"no example in it, expected pictures \(\.png"),
        ({"a__png": PNG, "a__gt__txt": "x\ny"}, r"a\.gt\.txt: 2 lines, expected one"),
        ({"a__png": "text", "a__gt__txt": "x"}, r"a\.png: begins with 'text', expected a picture"),
    ],
)
def test_a_folder_that_is_not_whole(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read("line-images", write(tmp_path / "a", **files))


def lines(*objects: Any) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


def test_json_lines_name_pictures(tmp_path: Path) -> None:
    rows = {"file": "a.png", "text": "7é", "label": 3, "group": "w"}, {"file": "b/c.png", "text": "8"}
    write(tmp_path / "b", c__png=PNG)
    write(tmp_path, a__png=PNG, x__jsonl=lines(*rows))
    first, second = read("jsonl-images", tmp_path / "x.jsonl")
    assert (first["transcript"], first["label"], first["group"]) == ("7é", "3", "w")
    assert second["place"] == f"{tmp_path / 'x.jsonl'}:2" and second["image"].shape == (4, 6)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as held:
        held.write(tmp_path / "a.png", "a.png")
        held.write(tmp_path / "a.png", "b/c.png")
    inside = read("jsonl-images", tmp_path / "x.jsonl", tmp_path / "x.zip", tmp_path / "x.jsonl")
    assert len(inside) == 4 and np.array_equal(inside[1]["image"], second["image"])
    (own,) = read(
        "jsonl-images", write(tmp_path, y__jsonl=lines({"p": "a.png", "t": "9"})) / "y.jsonl", image="p", text="t"
    )
    assert own["transcript"] == "9"
    auto = registry.construct("reader", {"kind": "auto", "gives": "images"})
    assert len(list(auto.read(tmp_path / "x.jsonl", tmp_path / "x.zip"))) == 2 and auto.kind == "jsonl-images"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, r"x\.jsonl:1: no key 'image' or 'file' or .*, found 'text'"),
        ({"file": "no.png"}, r"x\.jsonl:1: .*no\.png: no such file"),
        ({"file": "a.png", "text": 7}, r"x\.jsonl:1: 'text' is '7', expected a string \(a number loses its zeros\)"),
        ({"file": "a.png", "label": [1]}, r"x\.jsonl:1: 'label' is '\[1\]', expected a name"),
        ({"file": "a.png\0"}, "a NUL character in the name"),
    ],
)
def test_lines_that_are_not_to_be_used(tmp_path: Path, row: Any, message: str) -> None:
    write(tmp_path, a__png=PNG, x__jsonl=lines(row))
    with pytest.raises(DataError, match=message):
        read("jsonl-images", tmp_path / "x.jsonl")


def test_archives_that_are_not_to_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, x__jsonl=lines({"file": "a.png"}))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("b.png", PNG)
    both = tmp_path / "x.jsonl", tmp_path / "x.zip"
    with pytest.raises(DataError, match=r"x\.jsonl:1: .*x\.zip: no 'a\.png' in it: did you mean 'b\.png'\?"):
        read("jsonl-images", *both)
    with pytest.raises(DataError, match=r"x\.zip: an archive of pictures, and no JSON lines before it"):
        read("jsonl-images", *both[::-1])
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("a.png", PNG)
    monkeypatch.setattr("recurra.data.zipped.LARGEST", 10)
    with pytest.raises(DataError, match=r"x\.zip, a\.png: 84 bytes unpacked, expected 10 at most"):
        read("jsonl-images", *both)


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    write(tmp_path / DECOMPOSED, a__png=PNG), write(tmp_path / "b", c__png=PNG, d__txt="")
    found = read("image-folders", tmp_path)
    assert [(each["label"], each["transcript"]) for each in found] == [("b", "b"), ("é", "é")]
    with pytest.raises(DataError, match="no example in it, expected folders of pictures"):
        read("image-folders", tmp_path / "b")
    with pytest.raises(DataError, match="no such file"):
        read("image-folders", tmp_path / "nothing")


PICTURES = np.random.default_rng(0).integers(1, 256, (40, 6, 5), np.uint8)
LABELS = np.arange(40, dtype=np.uint8) % 10


def digits(folder: Path, labels: Any = LABELS) -> tuple[Path, Path]:
    write(folder, images=packed(PICTURES), labels=packed(labels))
    return folder / "images", folder / "labels"


def test_strings_of_digits(tmp_path: Path) -> None:
    paths = digits(tmp_path)
    found = read("digit-strings", *paths, longest=3, passes=2, closest=1)
    assert 27 <= len(found) <= 80 and {len(each["transcript"]) for each in found} == {1, 2, 3}
    for number in range(10):  # every digit is in every pass once
        assert sum(each["transcript"].count(str(number)) for each in found) == 8
    again = read("digit-strings", *paths, longest=3, passes=2, closest=1)
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(found, again, strict=True))
    other = read("digit-strings", *paths, longest=3, passes=2, closest=1, seed=1)
    assert [each["transcript"] for each in other] != [each["transcript"] for each in found]
    alone = next(each for each in found if len(each["transcript"]) == 1)
    whole = alone["image"][:, np.flatnonzero(alone["image"].any(0))]
    assert any(np.array_equal(whole, PICTURES[k]) for k in np.flatnonzero(int(alone["transcript"]) == LABELS))
    (close,) = read("digit-strings", *paths, shortest=40, longest=40, closest=-99, farthest=-99)
    assert 40 * 5 - 39 * 2 <= close["image"].shape[1] <= 40 * 5 - 39 * 2 + 8  # none hides more than half of another


def test_digits_that_are_none(tmp_path: Path) -> None:
    images, labels = digits(tmp_path)
    with pytest.raises(DataError, match="no file of labels behind it"):
        read("digit-strings", images)
    with pytest.raises(DataError, match=r"shape \[40, 6, 5\], expected the labels of 40 pictures"):
        read("digit-strings", images, images)
    with pytest.raises(DataError, match="uint8 in 1 axes, expected pictures"):
        read("digit-strings", labels, labels)
    with pytest.raises(DataError, match="the label 10, expected digits, 0 to 9"):
        read("digit-strings", *digits(tmp_path, LABELS + 1))
    for wrong in ({"shortest": 0}, {"shortest": 6}, {"closest": 9}, {"passes": 0}, {"seed": -1}):
        with pytest.raises(ConfigError, match=f"reader.{next(iter(wrong))} = "):
            read("digit-strings", *digits(tmp_path), **wrong)


def test_the_pictures_of_idx_files(tmp_path: Path) -> None:
    found = read("idx", *digits(tmp_path), steps="picture")
    assert np.array_equal(found[7]["image"], PICTURES[7]) and found[7]["label"] == "7"
    write(tmp_path, flat=packed(PICTURES.reshape(40, 30)))
    with pytest.raises(DataError, match="uint8 in 2 axes, expected pictures"):
        read("idx", tmp_path / "flat", steps="picture")
