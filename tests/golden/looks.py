"""What is looked at of the stored runs: the words of the command line, the requests, the texts."""

from __future__ import annotations

from typing import Any

DATA = "runs/data"
FLIGHT, FLIGHTS = "what is the fare from San Jose to Köln", "all flights from Bern"
REVIEW, REVIEWS = "the soup was very bad", "the bath was lovely"
ANIMAL, ANIMALS = "the old bird sings .", "the dog runs ."
STORY = "Ann went to the yard. Bo went to the attic. Where is Ann?"
BLANK, BLANKS = "the ___ sells a map .", "nobody ___ that the boat ___ ."
DRAWN = ("--temperature", "1.5", "--seed", "4")

COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "writer": [
        ("predict", "The old ", "--length", "60"),
        ("predict", "The old ", "--length", "60", "--temperature", "0"),
        ("predict", "Ω The", "--length", "20", "--seed", "3", "--top-k", "5", "--json"),
        ("predict", "--length", "30", "--seed", "3", "--top-p", "0.7", "--temperature", "1.2"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.txt", "--json", "--no-baseline"),
        ("evaluate", f"{DATA}/more.txt", "--no-baseline", "--cache", "--set", "cache.size=50", "--json"),
        *(
            ("evaluate", f"{DATA}/more.txt", "--no-baseline", *end)
            for end in (
                ("--dynamic", "--set", "dynamic.learning_rate=0.001", "--set", "dynamic.decay=0.003"),
                ("--cache", "--set", "cache.theta=0.3", "--set", "cache.weight=0.1"),
            )
        ),
        ("inspect", "--text", "The old man sells a map."),
        ("inspect", "--text", "The old", "--json"),
    ],
    "filler": [
        ("predict", BLANK),
        ("predict", BLANKS, "--top", "3", "--json"),
        ("predict", "--input", f"{DATA}/blanks.txt", "--top", "2"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.txt", "--json", "--no-baseline"),
        ("inspect", "--text", "the clerk sells a map ."),
    ],
    "classifier": [
        ("predict", REVIEW),
        ("predict", REVIEWS, "--json"),
        ("predict", "--input", f"{DATA}/lines.txt"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.csv", "--json", "--no-baseline"),
        ("evaluate", f"{DATA}/more.csv", "--tables", "--no-baseline"),
        ("evaluate", "runs/classifier", "--json"),
        ("inspect", "--text", REVIEW),
    ],
    "topics": [
        ("predict", REVIEW),
        ("predict", REVIEWS, "--json"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.topics.jsonl", "--json", "--no-baseline"),
        ("inspect", "--text", REVIEW),
    ],
    "tagger": [
        ("predict", FLIGHT),
        ("predict", FLIGHT, "--json"),
        ("predict", "--input", f"{DATA}/lines.txt", "--json"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.conll", "--json", "--no-baseline"),
        ("evaluate", f"{DATA}/more.conll", "--no-baseline", "--tables"),
        ("evaluate", "runs/tagger", "--no-baseline"),
        ("inspect", "--text", FLIGHT),
    ],
    "slots": [
        ("predict", FLIGHT),
        ("predict", FLIGHT, "--json"),
        ("predict", "--input", f"{DATA}/lines.txt", "--json"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.slots.jsonl", "--json", "--no-baseline"),
        ("inspect", "--text", FLIGHT),
    ],
    "translator": [
        ("predict", ANIMAL),
        ("predict", ANIMAL, "--json", "--alignment", "--n-best", "2"),
        ("predict", ANIMAL, "--alignment", "--beam", "1"),
        ("predict", ANIMAL, "--n-best", "3", "--length-penalty", "1", "--no-repeat", "2"),
        ("predict", ANIMAL, "--n", "3", *DRAWN),
        ("predict", "--input", f"{DATA}/lines.txt"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.en", f"{DATA}/more.de", "--json", "--no-baseline"),
        ("evaluate", "--json", "--no-baseline", "--set", "search.beam=1"),
        ("evaluate", "runs/translator", "--no-baseline"),
        ("inspect",),
        ("inspect", "--text", ANIMAL, "--json"),
    ],
    "speller": [
        ("predict", "BAKO"),
        ("predict", "bako☃", "--json", "--n-best", "3"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.dict", "--json", "--no-baseline"),
    ],
    "poet": [
        ("predict", "5x4 春雨"),
        ("predict", "7x4 江樓", "--seed", "2", "--json"),
        ("predict", "5x4 春雨", "--no-form", "--n", "2"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.poems.jsonl", "--json", "--no-baseline"),
        ("inspect",),
    ],
    "answerer": [
        ("predict", STORY),
        ("predict", STORY, "--json"),
        ("evaluate",),
        ("evaluate", "--json"),
        ("evaluate", f"{DATA}/more.stories.txt", "--json", "--no-baseline"),
        ("inspect", "--text", STORY),
    ],
}
"""By run: the words between whose first and second its folder is put."""

STREAMS: list[tuple[tuple[str, ...], str]] = [
    (("writer",), "The old man\nsells a map"),
    (("writer", "--top", "2", "--json"), "The old\nman"),
    (("writer", "--each", "--top", "1"), "The"),
    (("writer", "--each", "--json"), "The"),
    (("writer", "--continue", "12", "--seed", "2", "--temperature", "0.5"), "The old\n"),
    (("classifier",), f"{REVIEW}\n{REVIEWS}"),
    (("classifier", "--json"), f"{REVIEW}\n"),
    (("classifier", "--each"), REVIEW),
    (("classifier", "--each", "--json"), REVIEW),
    (("tagger",), f"{FLIGHTS}\n\n{FLIGHT}"),
    (("tagger", "--json"), FLIGHTS),
    (("tagger", "--each"), FLIGHTS),
    (("tagger", "--each", "--json"), FLIGHTS),
    (("slots",), FLIGHTS),
    (("translator",), ANIMAL),
]
"""A run and options, and what is piped in. The last of them are refused."""

REQUESTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "writer": [
        ("predict", {"inputs": ["The old", ""], "options": {"length": 20, "seed": 1, "temperature": 0.7}}),
        ("generate", {"input": "The", "options": {"length": 6, "seed": 2, "top": 2}}),
        ("inspect", {"text": "The old map."}),
    ],
    "filler": [("predict", {"inputs": [BLANK, BLANKS], "options": {"top": 2}})],
    "classifier": [("predict", {"inputs": [REVIEW, REVIEWS.split()], "options": {}}), ("inspect", {"text": REVIEW})],
    "topics": [("predict", {"inputs": [REVIEW, REVIEWS], "options": {"top": 2}})],
    "tagger": [("predict", {"inputs": [FLIGHT], "options": {}})],
    "slots": [("predict", {"inputs": [FLIGHT, FLIGHTS], "options": {}})],
    "translator": [
        ("predict", {"inputs": [ANIMAL], "options": {"attention": True, "n_best": 2}}),
        ("predict", {"inputs": [ANIMAL], "options": {"temperature": 1.5, "seed": 4}}),
        ("generate", {"input": ANIMAL, "options": {}}),
        ("inspect", {"text": ANIMAL, "target": "der alte Hund singt ."}),
    ],
    "speller": [("predict", {"inputs": ["BAKO"], "options": {"beam": 2}})],
    "poet": [
        ("predict", {"inputs": ["5x4 春雨"], "options": {"seed": 3, "form": True}}),
        ("generate", {"input": "5x4 春雨", "options": {"seed": 3}}),
    ],
    "answerer": [("predict", {"inputs": [STORY], "options": {}})],
}
"""What is posted to the models, in their order."""

FED: dict[str, list[Any]] = {
    "writer": ["The ", "old"],
    "classifier": ["the soup", "was"],
    "tagger": ["flights from", "Bern"],
}
"""What sessions read, piece after piece."""

ASKED: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "writer": [(("The old ",), {"length": 30}), (("The old ",), {"length": 30, "temperature": 0.0})],
    "filler": [((BLANK, BLANKS.split()), {"top": 2})],
    "classifier": [((REVIEW, REVIEWS.split()), {"top": 2})],
    "topics": [((REVIEW, REVIEWS), {"top": 3})],
    "tagger": [((FLIGHT, FLIGHTS.split()), {})],
    "slots": [((FLIGHT, ""), {"top": 2})],
    "translator": [((ANIMAL, ANIMALS), {"alignment": True}), ((ANIMAL,), {"temperature": 1.5, "seed": 4})],
    "speller": [(("BAKO", "ABX"), {"n_best": 2})],
    "poet": [(("5x4 春雨",), {"seed": 3})],
    "answerer": [((STORY,), {})],
}
"""By run: the inputs and keywords of `predict` in Python."""

CLIENTS: dict[str, str] = {
    "writer": "The old ",
    "filler": BLANK,
    "classifier": REVIEW,
    "topics": REVIEW,
    "tagger": FLIGHT,
    "slots": FLIGHT,
    "translator": ANIMAL,
    "speller": "BAKO",
    "answerer": STORY,
}
"""What the program beside an export is asked; for poems there is none."""
