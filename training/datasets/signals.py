"""The signal of a data set that has become ready, sent in the transaction that changes its state."""

from django.dispatch import Signal

dataset_ready = Signal()  # dataset_id
dataset_unusable = Signal()  # dataset_id, reason
