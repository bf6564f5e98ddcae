"""Signals of leased work, sent in the transaction of the step."""

from django.dispatch import Signal

work_ended = Signal()  # work: a piece of the sender's kind that is final now
