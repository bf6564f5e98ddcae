"""The platform's switches: maintenance mode (status.json) and clean-up (cleanup.json)."""
