"""A cell as mathematics: the language its equations are written in, the backward derived from them, and how both print."""
