"""Sound inputs made odd: bytes, lines, numbers, characters, delimiters, nesting, and the values of JSON."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NUMBERS = (
    *("0", "-0", "-1", "1", "2", "255", "256", "1e9", "1e400", "-1e400", "1e-400", "nan", "NaN", "inf", "-inf"),
    *("Infinity", "9" * 30, "9" * 5000, "2147483648", "9223372036854775808", "-9223372036854775809", "0x10", "1_000"),
    *("٣", "½", "²", "1.", ".5", "1.5", "0.1", "1e", "+1", "true", "1,5", "10 000"),
)
CHARACTERS = (
    *("\0", "\x01", "\x0b", "\x0c", "\r", "\x1a", "\x1b[2J", "\x1c", "\x7f", "\x85", "\xa0", "\xad", "\u0301"),
    *("\u0345", "\u0640", "\u1680", "\u180e", "\u200b", "\u200d", "\u200f", "\u2028", "\u2029", "\u202e", "\u3000"),
    *(
        "\ud7ff",
        "\ufeff",
        "\ufffd",
        "\uffff",
        "İ",
        "ß",
        "ſ",
        "K",
        "ﬃ",
        "我",
        "นี้",
        "क्षि",
        "می‌روم",
        "\U0001f469‍\U0001f4bb",
    ),
    *("\U000e0041", "\U0010ffff", "▁", "<unk>", "<eos>", "<s>", "</s>", "<0x0A>", "∎", "###", "[MASK]", "(0)"),
)
DELIMITERS = (
    "\t",
    " ",
    ",",
    ";",
    "|",
    "\n",
    "\r\n",
    "\n\n",
    ":",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    "#",
    "_",
)
RAW = (b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\x1f\x8b", b"PK\x03\x04")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_WORD = re.compile(r"\w+")


def mutated(text: str, random: Random, others: Sequence[str] = ()) -> bytes:
    """A text with one to five things changed, as bytes; now and then in another encoding, cut, or in gzip."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        text = random.choice(_ON_TEXT)(text, random, others)[: 1 << 16]
    raw = text.encode("utf-8", errors="surrogatepass")
    if random.random() < 0.2:
        for _ in range(random.choice((1, 1, 2, 8))):
            raw = random.choice(_ON_BYTES)(raw, random)
    if random.random() < 0.02:
        raw = gzip.compress(raw, 1, mtime=0)[: random.choice((None, None, -1, -9, 12))]
    return raw


def mutated_bytes(raw: bytes, random: Random) -> bytes:
    """Bytes with one to eight things changed."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        raw = random.choice(_ON_BYTES)(raw, random)
    return raw


def odd_value(random: Random) -> Any:
    """A JSON value that nobody expects."""
    return (
        copy.deepcopy(random.choice(_VALUES)) if random.random() < 0.9 else nested(random.choice((3, 60, 400)), random)
    )


def nested(depth: int, random: Random) -> Any:
    """Lists or objects within each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def mutated_value(value: Any, random: Random) -> Any:
    """A JSON value with one to three of its places changed: another value, a key away, renamed or more."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = _changed(value, random)
    return value


def json_text(value: Any, random: Random) -> str:
    """A JSON value as text, now and then in a way that no writer would."""
    try:
        text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    except RecursionError:
        return "[" * 5000
    if random.random() < 0.1:
        text = random.choice(_ON_JSON)(text, random)
    return text


def _changed(value: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        found = waiting.pop()
        inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
        for key, each in inner:
            places.append((found, key))
            waiting.append(each)
    if not places or random.random() < 0.03:
        return odd_value(random)
    table, key = random.choice(places)
    way = random.random()
    if way < 0.6:
        table[key] = odd_value(random)
    elif way < 0.75:
        del table[key]
    elif way < 0.85:
        other, there = random.choice(places)
        if other is table and there in (range(len(table)) if isinstance(table, list) else table):
            table[key] = copy.deepcopy(other[there])
        elif isinstance(table, list):
            table.append(odd_value(random))
        else:
            table[_odd_text(random)] = odd_value(random)
    elif isinstance(table, list):
        table.insert(key, copy.deepcopy(table[key]) if random.random() < 0.5 else odd_value(random))
    else:
        table[random.choice((_odd_text(random), str(key) + "s", str(key).upper()))] = table.pop(key)
    return value


def _odd_text(random: Random) -> str:
    return "".join(
        random.choice((*CHARACTERS, *NUMBERS, "a", "ab", " ")) for _ in range(random.choice((0, 1, 1, 2, 4)))
    )


_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf"), 10**20, 10**400),
    *(2**31, 2**63, -(2**63) - 1, 1e-320, "", " ", "x", "none", "nan", "\0", "\ud800", "\udfff\ud800", "é", "x" * 5000),
    *([], {}, [[]], [None], [1], ["x"], [1, "x"], {"kind": "x"}, {"": None}, {"kind": None}, [0.1] * 50, ["a"] * 200),
)


def _cut(text: str, random: Random, others: Sequence[str]) -> str:
    return text[: random.randrange(len(text) + 1)]


def _left_out(text: str, random: Random, others: Sequence[str]) -> str:
    begin = random.randrange(len(text) + 1)
    return text[:begin] + text[begin + random.choice((1, 1, 2, 8, 40)) :]


def _doubled(text: str, random: Random, others: Sequence[str]) -> str:
    begin = random.randrange(len(text) + 1)
    piece = text[begin : begin + random.choice((1, 2, 8, 40))]
    return text[:begin] + piece * random.choice((2, 2, 3, 50)) + text[begin + len(piece) :]


def _put_in(text: str, random: Random, others: Sequence[str]) -> str:
    place = random.randrange(len(text) + 1)
    new = random.choice(random.choice((CHARACTERS, DELIMITERS, NUMBERS, ("\ud800", "\udc00"))))
    return text[:place] + new * random.choice((1, 1, 1, 2, 40)) + text[place:]


def _by_lines(text: str, random: Random, others: Sequence[str]) -> str:
    lines = text.split("\n")
    here, there = random.randrange(len(lines)), random.randrange(len(lines))
    way = random.randrange(5)
    if way == 0:
        lines.insert(there, lines[here])
    elif way == 1:
        del lines[here]
    elif way == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif way == 3:
        lines[here] = "" if random.random() < 0.5 else lines[here] + lines[there]
    else:
        lines[here] = lines[here] * random.choice((2, 40))
    return "\n".join(lines)


def _other_delimiter(text: str, random: Random, others: Sequence[str]) -> str:
    there = [delimiter for delimiter in DELIMITERS if delimiter in text] or [" "]
    return text.replace(random.choice(there), random.choice(DELIMITERS), random.choice((1, 1, -1)))


def _other_number(text: str, random: Random, others: Sequence[str]) -> str:
    found = list(_NUMBER.finditer(text))
    if not found:
        return _other_word(text, random, others)
    one = random.choice(found)
    return text[: one.start()] + random.choice(NUMBERS) + text[one.end() :]


def _other_word(text: str, random: Random, others: Sequence[str]) -> str:
    found = list(_WORD.finditer(text))
    if not found:
        return text
    one, like = random.choice(found), random.choice(found)
    new = random.choice((like[0], "", random.choice(CHARACTERS), random.choice(NUMBERS), one[0] * 30))
    return text[: one.start()] + new + text[one.end() :]


def _deep(text: str, random: Random, others: Sequence[str]) -> str:
    open_, close = random.choice(("()", "[]", "{}", '""', ("(0 ", ")"), ('{"a":', "}"), ("-", ""), ("(x+", ")")))
    depth, begin, end = random.choice((2, 30, 300, 3000)), *sorted(random.choices(range(len(text) + 1), k=2))
    return text[:begin] + open_ * depth + text[begin:end] + close * depth + text[end:]


def _spliced(text: str, random: Random, others: Sequence[str]) -> str:
    other = random.choice(others) if others else text
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


def _flipped(raw: bytes, random: Random) -> bytes:
    if not raw:
        return b"\0"
    place = random.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << random.randrange(8))]) + raw[place + 1 :]


def _bytes_in(raw: bytes, random: Random) -> bytes:
    place = random.randrange(len(raw) + 1)
    return raw[:place] + (random.choice(RAW) if random.random() < 0.5 else random.randbytes(4)) + raw[place:]


def _bytes_out(raw: bytes, random: Random) -> bytes:
    place = random.randrange(len(raw) + 1)
    return raw[:place] + raw[place + random.choice((1, 2, 8, 64)) :]


def _bytes_cut(raw: bytes, random: Random) -> bytes:
    return raw[: random.randrange(len(raw) + 1)]


_ON_BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (_flipped, _flipped, _bytes_in, _bytes_out, _bytes_cut)
_ON_TEXT: tuple[Callable[[str, Random, Sequence[str]], str], ...] = (
    *(_cut, _left_out, _doubled, _put_in, _put_in, _by_lines, _other_delimiter, _other_number, _other_number),
    *(_other_word, _deep, _spliced),
)
_ON_JSON: tuple[Callable[[str, Random], str], ...] = (
    lambda text, random: _cut(text, random, ()),
    lambda text, random: _put_in(text, random, ()),
    lambda text, random: _deep(text, random, ()),
    lambda text, random: _other_number(text, random, ()),
    lambda text, random: text.replace(",", f', "kind": {random.choice(NUMBERS)},', 1),
    lambda text, random: text + random.choice((" ", "x", text, "\0")),
)
