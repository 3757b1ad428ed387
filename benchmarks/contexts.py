"""BLEU by length of the source, of runs that differ in how the decoder learns of it.

    python benchmarks/contexts.py initial=RUN every-step=RUN attention=RUN --out docs/images/contexts.svg

Prints the table, too. Groups of fewer than 20 sentences are left out of the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

import recurra

FEWEST = 20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", help="NAME=RUN")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    plt.rcParams["svg.hashsalt"] = "contexts"  # the same picture is the same file
    figure, axes = plt.subplots(figsize=(7, 4))
    for k, (name, _, path) in enumerate(text.partition("=") for text in arguments.runs):
        scores = recurra.load(path, device="cpu").report["scores"]["test"]
        rows = scores["tables"]["length"]["rows"]
        print(f"{name}: BLEU {scores['model']['bleu']:.2f}; " + ", ".join(f"{n} {bleu:.1f}" for n, _, bleu in rows))
        shown = [(f"{group}\n{count} sentences", bleu) for group, count, bleu in rows if count >= FEWEST]
        axes.plot(*zip(*shown, strict=True), marker="os^D"[k % 4], label=f"{name}: {scores['model']['bleu']:.1f}")
    axes.set(xlabel="words of the source", ylabel="BLEU, lower case")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
