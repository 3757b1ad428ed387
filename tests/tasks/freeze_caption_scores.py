"""Makes `caption_scores.json`: random captions, and what the scorer that is usual for captions says of them.

In an environment of its own, as it needs nothing else of pycocoevalcap (1.2): pip install numpy; pip install --no-deps
pycocoevalcap; python freeze_caption_scores.py > caption_scores.json. Its tokeniser, which needs Java, is not asked:
the captions are words in lower case with spaces between them.
"""

from __future__ import annotations

import json
import random
import sys

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

WORDS = (
    *("a", "the", "dog", "man", "two", "green", "trees", "many", "buildings", "road", "near", "runs", "on", "water"),
    *("grass", "river", "with", "and", "of", "in"),
)
draw = random.Random(7)


def caption(length: int) -> list[str]:
    return [draw.choice(WORDS) for _ in range(length)]


def varied(words: list[str], share: float) -> str:
    """Some words changed, one in ten left out."""
    changed = (draw.choice(WORDS) if draw.random() < share else word for word in words)
    return " ".join(word for word in changed if draw.random() > 0.1) or "a"


references, captions = [], []
for k in range(12):
    base = caption(draw.randint(5, 12))
    references.append([varied(base, 0.3) for _ in range(draw.randint(1, 5))])
    captions.append(varied(base, 0.4) if k % 4 else " ".join(caption(draw.randint(1, 14))))

true, said = dict(enumerate(references)), {k: [one] for k, one in enumerate(captions)}
bleu, _ = Bleu(4).compute_score(true, said, verbose=0)
scores = {f"bleu_{n}": 100 * float(value) for n, value in enumerate(bleu, 1)}
scores["rouge_l"] = 100 * float(Rouge().compute_score(true, said)[0])
scores["cider_d"] = float(Cider().compute_score(true, said)[0])
sys.stdout.write(json.dumps({"references": references, "captions": captions, "scores": scores}, indent=1) + "\n")
