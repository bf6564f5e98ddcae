"""What a data set turned out to be, for whoever waits for it. Sent in the transaction that notes it."""

from django.dispatch import Signal

dataset_ready = Signal()  # dataset_id
dataset_unusable = Signal()  # dataset_id, reason
