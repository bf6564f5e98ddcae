"""Flash's calls about trainings; those that use a model are in `inference.flash`."""
