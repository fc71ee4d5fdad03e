"""Marks hooks that are left out of tests."""

from __future__ import annotations

from mmengine.hooks import Hook


class TrainingOnlyHook(Hook):
    """A hook for trainings only: it is left out of a config that tests a model."""
