"""The Celery application of every process, and its connection to the broker."""
