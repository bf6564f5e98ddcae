"""The worker process: claims jobs, trains in a child process, uploads checkpoints, publishes."""
