"""Marks hooks that a test leaves out."""

from __future__ import annotations

from mmengine.hooks import Hook


class TrainingOnlyHook(Hook):
    """A hook that has no part in a test: it is left out of what a config tests a model with."""
