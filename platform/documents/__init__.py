"""The four canonical documents: their keys, their schemas, the store they live in, the way to it.

This package imports no other app. Apps register what their tables look like in a document
(`registration.register`) and say when that changed (`outbox.mark_changed`).
"""
