"""A trained run in use: answers, and scores beside a baseline."""
