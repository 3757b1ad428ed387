"""What each of our files holds."""

from __future__ import annotations

from recurra.forms.schema import NOTHING, TRUTH, Either, Items, Number, Table, Text, Whole

COUNT = Whole(0)
TEXT = Text()
SCORE = Number(finite=False)
"""A perplexity may be beyond what a float holds."""
TOKENS = Items(TEXT)

_ROW = Table({"name": TEXT, "size": COUNT, "unit": TEXT}, {"note": TEXT, "own": TRUTH}, Either((SCORE, TEXT)))
_ADAPTED = Table(
    {"name": TEXT},
    {
        "settings": Table(others=Either((SCORE, TEXT, TRUTH, NOTHING))),
        "seconds": Table(others=Number(0)),
        "tried": Items(Table(others=SCORE)),
        "tuned_on": COUNT,
        "note": TEXT,
    },
    Either((SCORE, TEXT)),
)
_CELL = Either((SCORE, TEXT, NOTHING))
_SCORES = Table(
    {"model": Table(others=SCORE)},
    {
        "baseline": Items(_ROW),
        "adapted": Items(_ADAPTED),
        "notes": Items(TEXT),
        "drawn": Number(0),
        "parameters": COUNT,
        "runs": COUNT,
        "symbols": COUNT,
        "streams": COUNT,
        "examples": COUNT,
        "cut": COUNT,
        "tokens": Either((COUNT, Table(others=COUNT))),
        "search": TEXT,
        "unknown_share": Number(0),
        "examples_per_second": Number(0),
        "places_per_second": Number(0),
        "tables": Table(others=Table({"columns": Items(TEXT), "rows": Items(Items(_CELL))})),
    },
)
_SHOWN = Table(
    optional={
        "source": Either((TEXT, TOKENS)),
        "tokens": Either((TEXT, TOKENS)),
        "target": Either((TEXT, TOKENS)),
        "references": Items(Either((TEXT, TOKENS))),
        "lines": TOKENS,
        "tags": TOKENS,
        "segments": TOKENS,
        "label": TEXT,
        "labels": TOKENS,
        "truth": TEXT,
    }
)
REPORT = Table(
    optional={
        **dict.fromkeys(
            ("recurra", "torch", "split", "data", "device", "precision", "precision_note", "ended", "unit", "verdict"),
            TEXT,
        ),
        **dict.fromkeys(("parameters", "threads", "processes", "steps", "pairs", "judged"), COUNT),
        "unknown_share": Table(others=Number(0)),
        "init": Table(optional={"names": TOKENS}),
        "seed": Whole(),
        "epochs": Number(0),
        "targets_per_second": Either((Number(0), NOTHING)),
        "minutes": Table(others=Number(0)),
        "commands": Items(TEXT),
        "plugins": Items(Table({"path": TEXT, "sha256": TEXT})),
        "notes": Items(TEXT),
        **dict.fromkeys(("forecast", "fitted"), Table({"said": TEXT})),
        "scores": Table(others=_SCORES),
        "sample": Table(optional={"text": TEXT, "seed": Whole(), "temperature": Number(0), "length": COUNT}),
        "shown": Items(_SHOWN),
        "unscored": Either((COUNT, TOKENS)),
        "scored": TOKENS,
        "texts": TOKENS,
    }
)
"""report.json. Every key may be missing: a run that was stopped has some of them alone."""

STEP = Table({"step": COUNT})
"""A line of any log of a training."""
METRICS = Table({"step": COUNT}, others=Either((SCORE, TRUTH)))
"""A line of metrics.jsonl."""
GRADIENTS = Table({"step": COUNT, "norms": Table(others=Items(SCORE))})
"""A line of gradients.jsonl."""
SPECTRA = Table({"step": COUNT, "norm": Table(others=SCORE), "radius": Table(others=SCORE)})
"""A line of spectrum.jsonl."""

COUNTERS = Table(
    others=None,
    optional={
        **dict.fromkeys(("epoch", "batch", "batches", "step", "marks", "best_step"), COUNT),
        **{name: Number(0) for name in ("seconds", "evaluated_at", "evaluation_seconds", "validating")},
        "history": Items(Number()),
        "best": Either((Number(), NOTHING)),
        "averaged_from": Either((COUNT, NOTHING)),
        "evaluated_step": Whole(-1),
        "valid_share": Number(0, 1),
    },
)
"""The counters of resume.safetensors."""

CODEC = Table({"kind": TEXT, "settings": Table()})
"""The record of any codec."""
VOCABULARY = Table(
    {"kind": TEXT, "settings": Table(), "symbols": Items(Text(halves=True))},
    {"scores": Items(Number())},
)
"""The record of a codec of symbols."""
SYMBOL = Table(
    {"number": COUNT, "written": Text(halves=True)},
    {"values": Items(Number()), "seen": Items(Number(0, 1)), "since": Items(Number(0)), "dt": Number(0)},
    None,
)
"""A step that a session read last; `values` where it is no symbol, `seen`, `since` and `dt` where those have gaps."""
SESSION = Table({"run": TEXT, "count": COUNT, "last": Either((SYMBOL, NOTHING))})
"""What a session's file says beside its tensors."""
EXPORT = Table({"task": Table({"kind": TEXT}), "core": Table({"kind": TEXT})}, {"description": TEXT}, Table())
"""The settings in an export's metadata."""
