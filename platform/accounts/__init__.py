"""Users, sign-up and API tokens."""
