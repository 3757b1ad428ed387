"""Textbook experiments that measure: how gradients vanish and explode, and what networks can remember over how long."""
