"""What is said of errors."""

from __future__ import annotations

from recurra.errors import LONGEST_MESSAGE, ConfigError, DataError, UnknownName


def test_a_long_message_keeps_its_place_and_its_next_move() -> None:
    said = str(DataError(f"a.txt:3: {'x' * 99_999!r} is no number. Mend this line."))
    assert said.startswith("a.txt:3: 'xxx") and said.endswith("xxx' is no number. Mend this line.")
    assert len(said) == LONGEST_MESSAGE + 3 and " … " in said
    assert len(str(UnknownName("cell", "x" * 99_999, ["gru"]))) == LONGEST_MESSAGE + 3
    assert str(ConfigError("x" * LONGEST_MESSAGE)) == "x" * LONGEST_MESSAGE
