"""Defines the errors and warnings that a user can act on; a command prints their message as one line."""

from __future__ import annotations


class MitoutsError(Exception):
    """Base of the errors that say what was expected, what was found, where, and what to do."""


class AnnotationError(MitoutsError, ValueError):
    """An annotation or prediction file cannot be used as it is."""


class ConfigError(MitoutsError, ValueError):
    """A config, or a command-line override of one, makes no sense."""


class CheckpointError(MitoutsError, ValueError):
    """A checkpoint is missing, broken, or does not belong to the config."""


class ImageError(MitoutsError, ValueError):
    """An image is missing, unreadable, or of a kind that is not supported."""


class TrainingError(MitoutsError, RuntimeError):
    """Training cannot go on, for instance because the loss is no longer finite."""


class ReviewError(MitoutsError, ValueError):
    """A review cannot be made, gone on with or applied as it was asked for."""


class AnnotationWarning(UserWarning):
    """Something in an annotation file was repaired or left out, and is named."""
