"""Moving digits: pictures of two handwritten digits that bounce in a frame, and for each picture a tag, the digit that
is further to the left.

    python examples/moving_digits.py data/mnist digits
    recurra train activity digits/train.npz --valid digits/valid.npz --test digits/test.npz --set task.kind=tag

The digits are MNIST's: those of its training files for train and valid, none of them in both, those of its test files
for test. Each goes straight on at a speed of its own and turns back at the edge of a frame of 64 × 64, for 20 pictures,
as in Srivastava, Mansimov & Salakhutdinov 2015, Unsupervised learning of video representations using LSTMs. A picture
is 32 × 32: the mean of each four points. Where one digit covers the other, the brighter point is seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recurra.registry import construct

FRAME, PICTURES, DIGIT = 64, 20, 28
SPEED = (2.0, 5.0)
"""Points a picture, from and to."""


def digits_of(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Pictures [N, 28, 28] and labels [N] of a part of MNIST, "train" or "t10k"."""
    files = [folder / f"{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1")]
    examples = list(construct("reader", {"kind": "idx", "steps": "rows"}).read(*files))
    return np.stack([each["vectors"] for each in examples]), np.array([each["label"] for each in examples])


def places(random: np.random.Generator) -> NDArray[np.int64]:
    """Where a digit's upper left corner is in each picture, [PICTURES, 2]."""
    room = FRAME - DIGIT
    angle, speed = random.uniform(0, 2 * np.pi), random.uniform(*SPEED)
    way = random.uniform(0, room, 2) + np.arange(PICTURES)[:, None] * speed * np.array([np.sin(angle), np.cos(angle)])
    return np.rint(room - np.abs(way % (2 * room) - room)).astype(np.int64)  # there and back


def sequence(
    pictures: NDArray[np.uint8], labels: NDArray[np.str_], random: np.random.Generator
) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures [PICTURES, 32, 32] of two digits, and the tag of each."""
    frames = np.zeros((PICTURES, FRAME, FRAME), np.uint8)
    chosen = random.integers(0, len(pictures), 2)
    ways = [places(random) for _ in chosen]
    for which, way in zip(chosen, ways, strict=True):
        for frame, (row, column) in zip(frames, way.tolist(), strict=True):
            part = frame[row : row + DIGIT, column : column + DIGIT]
            np.maximum(part, pictures[which], out=part)
    left = (ways[1][:, 1] < ways[0][:, 1]).astype(int)
    small = frames.reshape(PICTURES, FRAME // 2, 2, FRAME // 2, 2).mean((2, 4)).astype(np.uint8)
    return small, [str(labels[chosen[k]]) for k in left]


def write(
    file: Path, pictures: NDArray[np.uint8], labels: NDArray[np.str_], count: int, random: np.random.Generator
) -> None:
    """So many sequences, for the reader "npz"."""
    made = [sequence(pictures, labels, random) for _ in range(count)]
    x, tags = np.stack([each for each, _ in made]), [tag for _, each in made for tag in each]
    np.savez_compressed(file, x=x, label=np.array(tags))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help="the folder with MNIST's four files")
    parser.add_argument("out", type=Path, help="the folder to write into")
    parser.add_argument("--sequences", type=int, default=4000, help="of train; valid and test have a tenth each")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    pictures, labels = digits_of(given.mnist, "train")
    cut = 9 * len(pictures) // 10
    tenth = max(1, given.sequences // 10)
    write(given.out / "train.npz", pictures[:cut], labels[:cut], given.sequences, random)
    write(given.out / "valid.npz", pictures[cut:], labels[cut:], tenth, random)
    write(given.out / "test.npz", *digits_of(given.mnist, "t10k"), tenth, random)


if __name__ == "__main__":
    main()
