"""A cell as mathematics: the language of its equations, the backward derived from them, and how both print."""
