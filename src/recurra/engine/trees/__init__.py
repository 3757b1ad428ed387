"""Carries any cell over trees: two engines, one meaning.

`reference` is the equations node by node in torch; autograd does the backward. `levels` computes all nodes of a height
at once, and the derived backward in the same way from the roots to the leaves. Neither calls itself: a tree may be as
deep as memory lets it.
"""

from recurra.engine.trees.levels import run as run
from recurra.engine.trees.plan import Plan as Plan
