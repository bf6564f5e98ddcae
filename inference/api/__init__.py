"""REST: models and predictions."""
