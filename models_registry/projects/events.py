"""Signals of projects, sent in the transaction of the change."""

from django.dispatch import Signal

project_deleted = Signal()  # project: its row, marked as deleted and locked
