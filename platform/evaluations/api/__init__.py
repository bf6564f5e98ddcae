"""REST views of evaluations and comparisons."""
