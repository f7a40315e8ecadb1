"""Fractal Memory: documents, chunks, indexes, search."""
