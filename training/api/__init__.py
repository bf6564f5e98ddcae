"""REST: data sets and jobs."""
