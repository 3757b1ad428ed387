"""What is written in a picture, or said in a recording: texts in one form of Unicode."""

from __future__ import annotations

import unicodedata
from typing import Literal

Form = Literal["NFC", "NFD", "NFKC", "NFKD", "none"]
"""Of Unicode: é as one character (NFC) or as e and an accent (NFD), with K also ﬁ as fi; "none": as in the file."""


def normalised(text: str, form: Form) -> str:
    """A text in a form of Unicode, without white space at its ends; in logical order, also where it is written from
    right to left."""
    return (text if form == "none" else unicodedata.normalize(form, text)).strip()
