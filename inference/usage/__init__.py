"""Usage of models: counted in memory, added to a table, shown on pages and as metrics."""
