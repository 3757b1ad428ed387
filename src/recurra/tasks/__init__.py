"""Tasks: what is asked of a sequence, the layer that answers, its loss and its metrics. One file each."""
