"""Losses."""

from mitouts.models.losses.image import ImageBCELoss

__all__ = ['ImageBCELoss']
