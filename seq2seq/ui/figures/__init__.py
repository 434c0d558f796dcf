"""One chart a file, each a pure function from a Translation to a figure."""
