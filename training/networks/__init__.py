"""Networks on demand: which of the hub an administrator has added, and the work of fetching them."""
