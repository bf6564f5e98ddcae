"""Pages of models and batches."""
