"""Data sets, training jobs, the workers that run them, and the engine that trains."""
