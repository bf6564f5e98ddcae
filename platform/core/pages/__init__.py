"""Pages and what they share: the front door, search lines, page requests."""
