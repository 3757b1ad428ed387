"""A corpus: text encoded once into arrays that are read where they lie, whatever memory there is."""
