"""Versions measured and compared: on examples that none of them has learnt from, and by a policy that promotes."""
