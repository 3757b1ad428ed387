"""Does the journey end in this city or begin there? Only a word further left says so. Who remembers it?

python examples/why_memory.py
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import recurra
from recurra.baselines.single_words import SingleWords

ENGLISH = ["I will VERB CITY on DATE", "on DATE I will VERB CITY", "we would like to VERB CITY on DATE"]
CHINESE = ["我 将 于 DATE VERB CITY", "DATE 我们 VERB CITY", "我 VERB CITY 的 时间 是 DATE"]
VERBS = [("arrive", "leave"), ("arrive in", "depart from"), ("reach", "leave")], [("到达", "离开"), ("抵达", "离开")]
CITIES = "Taipei Boston Prague Nairobi Lima Oslo Kyoto Cairo", "台北 上海 北京 东京 巴黎 伦敦 柏林 罗马"
MONTHS, DAYS = ("March June August November", "三月 六月 八月 十一月"), ("1st 2nd 3rd 4th", "一日 二日 三日 四日")
FILLERS = "big old noisy rainy lovely famous crowded quiet", "美丽 古老 热闹 安静 著名 繁华 多雨 遥远"
NEAR, FAR, FARTHER = range(3), range(3, 6), range(7, 9)  # fillers between verb and city; trained on are NEAR and FAR

NETWORKS: dict[str, dict[str, Any]] = {
    f"TDNN, the word and {n} before it": {"core.kind": "tdnn", "core.num_layers": 1, "core.delays": n}
    for n in (3, 6, 9)
} | {name: {"core.cell": cell, "core.bidirectional": False} for name, cell in (("RNN", "rnn-tanh"), ("LSTM", "lstm"))}
SETTINGS = {"core.hidden_size": 64, "embedder.spelling": None, "vocabulary.lower": False, "vocabulary.digits": False}
SETTINGS |= {"embedder.dropout": 0.0, "embedder.word_dropout": 0.0, "task.dropout": 0.0, "training.epochs": 25}
SETTINGS |= {"training.patience": None, "data.test_fraction": 0.0}

Sentences = list[dict[str, list[str]]]


def twins(draw: random.Random, between: Sequence[int]) -> Sentences:
    """Two sentences of which only the verb differs: to the city, and away from it."""
    k = draw.randrange(2)
    form, verbs = draw.choice((ENGLISH, CHINESE)[k]), draw.choice(VERBS[k])
    city, month, day = (draw.choice(of[k].split()) for of in (CITIES, MONTHS, DAYS))
    fillers = draw.sample(FILLERS[k].split(), draw.choice(between))
    pair = []
    for verb, slot in zip(verbs, ("destination", "departure"), strict=True):
        whole = form.replace("DATE", f"{month}/B-date {day}/I-date").replace("CITY", f"{city}/B-{slot}")
        words = [word.split("/") for word in whole.replace("VERB", " ".join([verb, *fillers])).split()]
        pair.append({"tokens": [word[0] for word in words], "tags": [(*word, "O")[1] for word in words]})
    return pair


def sentences(draw: random.Random, pairs: int, between: Sequence[int], known: Sentences) -> Sentences:
    """So many twins, neither of them among the `known`."""
    found: Sentences = []
    while len(found) < 2 * pairs:
        pair = twins(draw, between)
        found += [] if pair[0] in known or pair[1] in known else pair
    return found


def cities_right(gold: Sentences, said: Sequence[Mapping[str, Any]]) -> float:
    """The share, in per cent, of the cities whose slot is right."""
    pairs = [pair for g, s in zip(gold, said, strict=True) for pair in zip(g["tags"], s["tags"], strict=True)]
    right = [true == guess for true, guess in pairs if true in ("B-destination", "B-departure")]
    return 100 * sum(right) / len(right)


if __name__ == "__main__":
    draw = random.Random(0)
    train = sentences(draw, 600, [*NEAR, *FAR], [])
    tests = [sentences(draw, 200, between, train) for between in (NEAR, FAR, FARTHER)]
    print(f"{'cities right, %; words between:':40}    0–2    3–5    7–8")
    answers = {"feed-forward network, the word alone": [[*SingleWords().rows(train, t)][1].predictions for t in tests]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "train.txt")
        lines = ["".join(f"{w} {t}\n" for w, t in zip(s["tokens"], s["tags"], strict=True)) for s in train]
        file.write_text("\n".join(lines), encoding="utf-8")
        for name, settings in NETWORKS.items():
            run: Any = recurra.train("tagger", file, out=Path(folder, name), settings={**SETTINGS, **settings})
            answers[name] = [run.predict(*(sentence["tokens"] for sentence in test)) for test in tests]
    for name, said in answers.items():
        print(f"{name:40}", *(f"{cities_right(gold, each):6.1f}" for gold, each in zip(tests, said, strict=True)))
