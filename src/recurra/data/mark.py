"""What tells vocabularies from others: weights and exported models hold the mark of theirs."""

from __future__ import annotations

import hashlib
import json

FORMER = {"tags": "labels", "label": "labels", "label-set": "labels", "spelling": "character"}
"""What kinds of codec were called when the first weights got their mark."""


def mark_of(records: dict) -> str:
    """The fingerprint of what codecs hold, by name, as they are written: its bytes in JSON, keys in order."""
    named = {name: {**record, "kind": FORMER.get(record["kind"], record["kind"])} for name, record in records.items()}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
