"""What tells vocabularies from others: weights and exported models hold the mark of theirs."""

from __future__ import annotations

import hashlib
import json


def mark_of(records: dict) -> str:
    """The fingerprint of what vocabularies hold, by name, as they are written: its bytes in JSON, keys in order."""
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()[:16]
