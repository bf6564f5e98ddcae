"""Predictions by token."""
