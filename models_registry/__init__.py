"""The registry of models: what is live, its files, how long it stays."""
