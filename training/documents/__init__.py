"""Training's part of the documents: status.json and training/training.json."""
