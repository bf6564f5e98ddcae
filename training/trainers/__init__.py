"""The engine: strategies that train, run in a child process. Knows no Django."""
