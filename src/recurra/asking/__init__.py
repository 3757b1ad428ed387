"""Models asked for the answers to many examples, alone or several together. Knows no files and no requests."""
