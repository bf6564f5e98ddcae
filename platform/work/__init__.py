"""Leased work, written once: work that a row stands for and a worker does, which no death of a process loses.

The row is the truth and a message only a hint that wakes a worker. Whoever claims the row holds it by a
lease, which a heartbeat renews; every write of a worker names its attempt and needs the lease. Knows no app:
a kind of work is a model that inherits `LeasedWork`.
"""
