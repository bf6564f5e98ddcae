"""Strategies: the ways to train a classifier, one module each, chosen by name in `factory`."""
