"""Writing a trained model's files, and proving that they agree."""
