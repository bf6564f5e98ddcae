"""Projects: their versions, which of them answers to the project's token, and what becomes of all when one goes."""
