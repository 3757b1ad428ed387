"""A sheet of poems as a run writes them, none chosen: for the first titles of its test, one each, from one seed.

RECURRA_DATA=… python benchmarks/poems.py RUN --out docs/poems.md
RECURRA_DATA=… python benchmarks/poems.py RUN --free        # without keeping the form
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import recurra
from recurra.data.readers.poems import form_of, has_form
from recurra.runs.reading import own_parts
from recurra.runs.run import Run


def sheet(run: Run, count: int, seed: int, form: bool) -> Iterator[str]:
    """The lines of the page."""
    report = run.report
    scores = report["scores"]["test"]
    kept = "with the form kept" if form else "freely"
    answers = run.predict(*(example["source"] for example in own_parts(run.config).test[:count]), seed=seed, form=form)
    options = run.options({"seed": seed, "form": form})
    found = {name: getattr(options, name) for name in ("temperature", "top_p", "top_k")}
    drawn = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in found.items() if value is not None)
    yield "# Poems, unselected\n"
    yield f"The first {count} titles of the test, one poem each, drawn {kept}: {drawn}, seed {seed}.\n"
    yield f"Trained by `{report['commands'][-1]}`, {report['minutes']['training']:.0f} minutes.\n"
    yield "| of all test titles | perplexity | form | rhyme | of real poems' | tones | of real poems' | copied |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in [("drawn freely", scores["model"]), *((row["name"], row) for row in scores["baseline"])]:
        yield f"| {name} | {' | '.join(cells(row))} |"
    yield ""
    for answer in answers:
        broken = "" if has_form(answer["target"], *form_of(answer["source"])) else " (not in its form)"
        yield f"## {answer['source']}{broken}\n"
        yield "  \n".join(answer["lines"]) + "\n"


def cells(row: dict[str, float]) -> list[str]:
    """The figures of a row, – where it has none."""
    digits = {"perplexity": 1, "form": 1, "rhyme": 1, "rhyme_ratio": 2, "tones": 1, "tones_ratio": 2, "copied": 1}
    return [f"{row[name]:.{number}f}" if name in row else "–" for name, number in digits.items()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--free", action="store_true", help="draw without keeping the form")
    parser.add_argument("--out", help="the page; printed where it is not said")
    arguments = parser.parse_args()
    run = recurra.load(arguments.run, device="cpu")
    page = "\n".join(sheet(run, arguments.count, arguments.seed, not arguments.free))
    if arguments.out:
        Path(arguments.out).write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
