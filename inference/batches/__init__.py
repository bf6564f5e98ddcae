"""Batches: many inputs in one file, classified in the background, with a CSV as result."""
