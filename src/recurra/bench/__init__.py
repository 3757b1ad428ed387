"""Timing against torch.nn and plain loops: both sides in one process, alternating, ratios of medians."""
