"""What can be asked of a training, each fact once: its phases, strategies and hyperparameters.

Plain data that needs neither Django nor torch: choices, forms, REST, estimates, queues and trainers derive
from it. A strategy is an entry in `strategies` and a module of its name in `..strategies`; a
hyperparameter is a field in `hyperparameters` and whatever uses it.
"""
