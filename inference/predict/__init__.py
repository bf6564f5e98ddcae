"""Answer predictions by token: find the model, keep it loaded, run it."""
