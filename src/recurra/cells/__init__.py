"""Recurrent cells, one family a file, equations only. Each is found by its registered name."""
