"""How Chinese characters are read in today's Mandarin, by pypinyin: final, tone, rhyme group.

Each character by itself, by the first of its readings that has a tone: many that rhymed, or stood in the other class of
tones, 1,200 years ago do not now.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

from recurra.errors import ConfigError

RHYMES = (
    "a ia ua",
    "o e uo",
    "ie ve",
    "ai uai",
    "ei uei",
    "ao iao",
    "ou iou",
    "an ian uan van",
    "en in uen vn",
    "ang iang uang",
    "eng ing ueng ong iong",
    "i v er",
    "u",
)
"""The thirteen rhyme groups of Mandarin (十三轍) as pypinyin writes finals: v is ü; i is also that of zhi and zi."""
FINALS = tuple(final for finals in RHYMES for final in finals.split())
TONES = ("1", "2", "3", "4")
_GROUP = {final: number for number, finals in enumerate(RHYMES) for final in finals.split()}


def load_pypinyin() -> ModuleType:
    """The package pypinyin. Raises ConfigError where it is not installed; ask before a training, not after."""
    try:
        import pypinyin
    except ImportError as error:
        raise ConfigError(
            "rhymes and tones are read by the package pypinyin, which is not installed. Install it: "
            'pip install pypinyin (or "recurra[poems]"); or do without: --set embedder.kind=symbols --set '
            "task.scores=exact --set baseline.kind=frequent"
        ) from error
    module: ModuleType = pypinyin
    return module


@cache
def reading(character: str) -> tuple[str, str] | None:
    """Final, as pypinyin writes it, and tone, "1" to "4"; None where it is not known."""
    pypinyin = load_pypinyin()
    readings = pypinyin.pinyin(
        character,
        style=pypinyin.Style.FINALS_TONE3,
        heteronym=True,
        neutral_tone_with_five=True,
        errors="ignore",
    )
    known = [found for several in readings for found in several if found[-1:] in TONES]
    return (known[0][:-1], known[0][-1]) if known else None


def rhyme_group(character: str) -> int | None:
    """The number of a character's rhyme group in `RHYMES`; None where its reading is not known."""
    found = reading(character)
    return None if found is None else _GROUP.get(found[0])


def is_level(character: str) -> bool | None:
    """Whether a character's tone is level (平: the first or second) or oblique (仄); None where it is not known."""
    found = reading(character)
    return None if found is None else found[1] in "12"
