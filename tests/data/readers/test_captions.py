"""Pictures with captions: JSON lines, JSON as of COCO, tables; in folders and archives; each fault named."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recurra.data.readers.sniff import CAPTIONED, AutoReader
from recurra.data.sample import PNG
from recurra.errors import ConfigError, DataError
from recurra.registry import construct

Image = pytest.importorskip("PIL.Image", reason="the extra images is not installed")


def read(kind: str, *paths: Path, **settings: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in construct("reader", {"kind": kind, **settings}).read(*paths)]


def jsonl(folder: Path, *rows: Any) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def coco(folder: Path, images: Any, annotations: Any) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    colours = np.zeros((300, 150, 3), np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).save(tmp_path / "red.png")
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).write_bytes(PNG)
    return tmp_path


def test_the_three_formats_give_the_same(folder: Path) -> None:
    expected = [("a.png", ["a wall", "a wall, a tree"]), ("sub/b.png", ["one tree"])]
    lines = jsonl(folder, *({"file": name, "captions": captions} for name, captions in expected))
    whole = coco(
        folder,
        [{"id": 3, "file_name": "a.png"}, {"id": 1, "file_name": "sub/b.png"}],
        [
            {"image_id": number, "caption": caption}
            for number, caption in ((3, "a wall"), (1, " one  tree "), (3, "a wall, a tree"))
        ],
    )
    table = folder / "a.csv"
    table.write_text('image,caption\na.png,a wall\nsub/b.png,one tree\na.png,"a wall, a tree"\n', encoding="utf-8")
    token = folder / "a.token"
    token.write_text("a.png#0\ta wall\na.png#1\ta wall, a tree\nsub/b.png#0\tone tree\n", encoding="utf-8")
    for path, kind in zip((whole, lines, table, token), (*CAPTIONED, "table-captions"), strict=True):
        reader = AutoReader(gives="captions")
        found = [dict(each) for each in reader.read(path)]
        assert reader.kind == kind
        assert [(each["id"], each["targets"]) for each in found] == expected
        assert all(each["image"].shape == (4, 6, 3) and str(path) in each["place"] for each in found)


def test_pictures_in_an_archive_and_in_a_folder_of_their_own(folder: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("sub/b.png", PNG)
    (folder / "a.zip").write_bytes(held.getvalue())
    lines = jsonl(folder, {"file": "b.png", "captions": "one tree"})
    (inside,) = read("jsonl-captions", lines, folder / "a.zip", folder="sub")
    (beside,) = read("jsonl-captions", lines, folder="sub")
    assert inside["targets"] == beside["targets"] == ["one tree"]
    assert np.array_equal(inside["image"], beside["image"])


def test_large_pictures_are_made_smaller_and_parts_are_taken(folder: Path) -> None:
    red = {"file": "red.png", "captions": ["red"], "split": "test"}
    lines = jsonl(folder, red, {"file": "a.png", "captions": "grey", "split": "val"})
    first, second = read("jsonl-captions", lines)
    assert first["image"].shape == (256, 128, 3) and (first["image"] == (200, 0, 0)).all()
    assert [each["id"] for each in read("jsonl-captions", lines, split="val", longest=2)] == ["a.png"]
    assert second["image"].shape == (4, 6, 3)
    assert read("jsonl-captions", lines, longest=2)[1]["image"].shape == (1, 2, 3)


def test_pictures_to_be_captioned_and_captions_without_a_word(folder: Path) -> None:
    assert "targets" not in read("jsonl-captions", jsonl(folder, {"file": "a.png"}))[0]
    for rows in (
        ({"file": "a.png"}, {"file": "red.png", "captions": "red"}),
        ({"file": "red.png", "captions": "red"}, {"file": "a.png"}),
    ):
        place = 1 + [row["file"] for row in rows].index("a.png")
        with pytest.raises(DataError, match=rf"a\.jsonl:{place}: a picture without a caption, where others have one"):
            read("jsonl-captions", jsonl(folder, *rows))
    lines = jsonl(folder, {"file": "a.png", "captions": [".", "a wall"]})
    assert read("jsonl-captions", lines, skip_wordless=True)[0]["targets"] == ["a wall"]
    lines = jsonl(folder, {"file": "a.png", "captions": [".", "!"]})
    with pytest.raises(DataError, match=r"the caption '\.' has no word"):
        read("jsonl-captions", lines, skip_wordless=True)


BAD = [
    ({"captions": ["a"]}, r"a\.jsonl:1: no key 'image' or 'file' .* that names a picture, found 'captions'"),
    ({"file": 3, "captions": ["a"]}, r"a\.jsonl:1: no key .* that names a picture, it is no text"),
    ({"file": "a.png", "captions": []}, r"a\.jsonl:1: a picture without a caption\. Write one"),
    ({"file": "a.png", "captions": ["a", " . "]}, r"a\.jsonl:1: the caption ' \. ' has no word"),
    ({"file": "a.png", "captions": [3]}, r"a\.jsonl:1: '3' in the place of a caption, expected a text"),
    ({"file": "a.png", "captions": 3}, r"a\.jsonl:1: the captions are '3', expected a list of texts"),
    ({"file": "no.png", "captions": ["a"]}, r"a\.jsonl:1: .*no\.png: no such file"),
    ({"file": "text.png", "captions": ["a"]}, r"a\.jsonl:1: .*text\.png: begins with 'a text', expected a picture"),
    ({"file": "cut.png", "captions": ["a"]}, r"a\.jsonl:1: .*cut\.png: no readable picture"),
    ({"file": "huge.png", "captions": ["a"]}, r"a\.jsonl:1: .*huge\.png: a picture of 9,000 × 9,000 pixels, expected"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_faults_of_lines_are_named(row: Any, message: str, folder: Path) -> None:
    (folder / "text.png").write_text("a text", encoding="utf-8")
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:80])
    Image.new("1", (9000, 9000)).save(folder / "huge.png")
    with pytest.raises(DataError, match=message):
        read("jsonl-captions", jsonl(folder, row))


COCOS = [
    ([{"id": 1}], [], r"images\[0\] is '\{\"id\": 1\}', expected an \"id\" and a \"file_name\""),
    ([{"id": 1, "file_name": "a.png"}] * 2, [], r"images\[1\] has the id 1, as 'a\.png' has"),
    ([{"id": 1, "file_name": "a.png"}], [{"image_id": 1}], r"annotations\[0\] is .*, expected an \"image_id\""),
    ([{"id": 1, "file_name": "a.png"}], [{"image_id": 2, "caption": "a"}], r"annotations\[0\] is of picture 2, which"),
    (
        [{"id": 1, "file_name": "a.png"}],
        [{"image_id": 1, "caption": "."}],
        r"annotations\[0\]: the caption '\.' has no",
    ),
    (
        [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "sub/b.png"}],
        [{"image_id": 1, "caption": "a"}],
        r"images\[1\], sub/b\.png: a picture without a caption",
    ),
    ([], [], r"no list of images in"),
]


@pytest.mark.parametrize(("images", "annotations", "message"), COCOS)
def test_faults_of_coco_files_are_named(images: Any, annotations: Any, message: str, folder: Path) -> None:
    with pytest.raises(DataError, match=message):
        read("coco-captions", coco(folder, images, annotations))


def test_a_coco_file_without_captions_is_asked(folder: Path) -> None:
    (found,) = read("coco-captions", coco(folder, [{"id": 1, "file_name": "a.png"}], []))
    assert "targets" not in found
    (folder / "b.json").write_text('{"images": ', encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.json: no JSON \(Expecting value"):
        read("coco-captions", folder / "b.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,a wall, a tree\n", r"a\.csv:1: 3 cells in 'a\.png,a wall, a tree', expected 2"),
        ("image,caption\na.png,\n", r"a\.csv:2: the caption '' has no word"),
        ("image,caption\n\n,a wall\n", r"a\.csv:3: no name of a picture before the caption"),
        ('a.png,"a wall"x\n', r"a\.csv:1: no row of a table"),
        ("a.png,a wall\nno.png,a tree\n", r"a\.csv:2: .*no\.png: no such file"),
    ],
)
def test_faults_of_tables_are_named(text: str, message: str, folder: Path) -> None:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read("table-captions", folder / "a.csv")


def test_settings_that_cannot_be_and_files_that_nobody_knows(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"reader\.longest = 0, expected 1 pixel or more"):
        construct("reader", {"kind": "table-captions", "longest": 0})
    (folder / "a.txt").write_text("a wall\n", encoding="utf-8")
    with pytest.raises(DataError, match="tried coco-captions, jsonl-captions, table-captions"):
        list(AutoReader(gives="captions").read(folder / "a.txt"))
    with pytest.raises(DataError, match=r"no reader knows this folder by its look, expected a file of captions"):
        list(AutoReader(gives="captions").read(folder))
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("a.png", PNG)
    (folder / "a.zip").write_bytes(held.getvalue())
    with pytest.raises(DataError, match=r"a\.zip: an archive of pictures, and no table before it"):
        read("table-captions", folder / "a.zip")
