"""What a worker process does: take the next job, train in a child process, publish, keep checkpoints."""
