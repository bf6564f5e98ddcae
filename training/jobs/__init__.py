"""Training jobs: submitted, queued, cancelled, tried again; what they cost and when they start."""
