"""What every app may use: base models, errors, the home folder, logging."""
