"""Prometheus metrics of predictions, counted by each process since its start."""

from prometheus_client import Counter, Histogram

PREDICTION_SECONDS = Histogram(
    "trainyard_prediction_seconds",
    "How long answered calls took, without reading the request.",
    ["task_type"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
MODEL_LOOKUPS = Counter("trainyard_model_lookups", "How often a model was needed in memory.")
MODEL_LOADS = Counter("trainyard_model_loads", "How often it was not there: lookups less loads are hits.")
