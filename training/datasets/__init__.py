"""Data sets: how they come in, how they are checked, how they go."""
