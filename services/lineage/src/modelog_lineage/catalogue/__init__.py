"""The catalogue: everything that has a name, found by words, kinds and tags."""
