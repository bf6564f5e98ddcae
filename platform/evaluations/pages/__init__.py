"""Pages of evaluations and comparisons."""
