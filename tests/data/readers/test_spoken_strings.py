"""Strings of recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recurra.data.readers.spoken_strings import SpokenStringsReader
from recurra.data.recordings import TONE
from recurra.data.sound import opened
from recurra.errors import ConfigError, DataError


def table(folder: Path, rows: list[str]) -> Path:
    (folder / "a.wav").write_bytes(TONE)
    (folder / "a.csv").write_text("file,label,speaker,split\n" + "".join(f"a.wav,{row}\n" for row in rows))
    return folder / "a.csv"


def test_strings_are_of_one_voice_and_one_part(tmp_path: Path) -> None:
    rows = [f"{k % 10},{who},{part}" for who in ("ann", "bob") for part in ("train", "test") for k in range(10)]
    file = table(tmp_path, rows)
    reader = SpokenStringsReader(shortest=2, longest=3, closest=0.1, farthest=0.1)
    found = list(reader.read(file))
    again = list(reader.read(file))
    assert [each["transcript"] for each in found] == [each["transcript"] for each in again]
    tone = opened(TONE)
    for each in found:
        n = len(each["transcript"])
        assert n in (2, 3) and each["group"] == each["speaker"] and each["split"] in ("train", "test")
        assert len(each["sound"]) == n * len(tone) + (n - 1) * round(0.1 * tone.rate)
        assert np.allclose(each["sound"].floats()[: len(tone)], tone.floats(), atol=1e-4)
    for who in ("ann", "bob"):
        said = sorted("".join(e["transcript"] for e in found if (e["speaker"], e["split"]) == (who, "train")))
        assert len(said) == len(set(said)) >= 9  # each recording once; one may be left over


def test_several_passes_and_what_stands_between(tmp_path: Path) -> None:
    file = table(tmp_path, ["go,ann,train", "stop,ann,train"])
    found = list(SpokenStringsReader(longest=2, passes=3, between=" ").read(file))
    assert len(found) == 3 and {each["transcript"] for each in found} <= {"go stop", "stop go"}


def test_what_is_refused(tmp_path: Path) -> None:
    for settings, message in [({"shortest": 3, "longest": 2}, "longest = 2"), ({"closest": 1.0}, "farthest = 0.3")]:
        with pytest.raises(ConfigError, match=message):
            SpokenStringsReader(**settings)
    (tmp_path / "a.wav").write_bytes(TONE)
    (tmp_path / "b.csv").write_text("file,speaker\na.wav,ann\n")
    with pytest.raises(DataError, match=r"b.csv:2: no label"):
        list(SpokenStringsReader().read(tmp_path / "b.csv"))


def test_no_recording_is_in_strings_of_two_parts(tmp_path: Path) -> None:
    file = table(tmp_path, [f"{k:02},{who},train" for who in ("ann", "bob") for k in range(20)] + ["77,ann,test"] * 2)
    found = list(SpokenStringsReader(passes=4, valid=0.25, between=" ").read(file))
    for who in ("ann", "bob"):
        said = {
            part: {word for e in found if (e["speaker"], e["split"]) == (who, part) for word in e["transcript"].split()}
            for part in ("train", "valid")
        }
        assert len(said["valid"]) == 5 and said["train"] and not said["train"] & said["valid"]
    assert sum(e["split"] == "test" for e in found) == 4
    with pytest.raises(ConfigError, match=r"reader\.valid = 1\.5"):
        SpokenStringsReader(valid=1.5)
    file = table(tmp_path, ["1,ann,test", "2,ann,test"])
    with pytest.raises(DataError, match="the part 'train', but the table has none"):
        list(SpokenStringsReader(valid=0.5).read(file))
