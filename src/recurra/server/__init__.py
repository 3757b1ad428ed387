"""Trained runs behind HTTP: a JSON API, described by OpenAPI, and a page to try them.

| file | says |
|---|---|
| `limits` | how much of everything there may be |
| `problems` | every refusal: what was expected, what came, and the next move |
| `batching`, `jobs` | one thread a model; what waits is computed together |
| `answering`, `generating`, `voices`, `looking` | what a model is asked, in that thread |
| `kinds` | what an answer is made of, for whoever draws it |
| `sessions` | streams that clients hold |
| `models`, `cards` | what is served, and what is said of it |
| `answers`, `parts`, `inside`, `described` | what OpenAPI says of answers and refusals |
| `guard`, `api`, `routes`, `bodies`, `events`, `handlers`, `pages` | the way of a request |
| `listening`, `connections` | the address, and the process |

`fastapi` and `uvicorn` (the extra `serve`) are imported where they are used, never before.
"""

from __future__ import annotations
