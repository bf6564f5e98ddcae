"""Pages of data sets, new models and jobs."""
