"""From a file to a batch: readers (one format a file), named data sets, cuts, vocabularies, batching."""
