"""Trained runs, opened: one class for all tasks."""
