"""Flash's calls that use a model; those about trainings are in `training.flash`."""
