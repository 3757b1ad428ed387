"""From files to a corpus: read once, by several processes, into arrays that a training reads where they lie."""
