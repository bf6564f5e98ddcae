"""HTTP: what every request passes, how bodies are read, how errors are answered."""
