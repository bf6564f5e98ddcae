"""For operators: health, logs, metrics."""
