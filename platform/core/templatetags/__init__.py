"""Template filters that several apps use."""
