"""Trained runs behind HTTP: a JSON API, described by OpenAPI, and a page to try them.

| file | says |
|---|---|
| `limits` | how much of everything there may be |
| `problems` | every refusal: what was expected, what came, and the next move |
| `requests`, `replies`, `parts` | what requests hold, and what they are answered |
| `api` | the addresses |
| `guard` | what every request goes through before: whose it is, how many there are, how long its body takes |
| `models`, `sessions` | what is served, and the streams that clients hold |
| `worker` | one thread a model; what waits is computed together |
| `asked`, `texts` | what a model is asked, in that thread |
| `address`, `listening` | where it listens, and uvicorn, which serves |

`fastapi` and `uvicorn` (the extra `serve`) are imported where they are used, never before.
"""

from __future__ import annotations
