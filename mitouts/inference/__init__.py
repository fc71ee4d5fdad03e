"""Trained models on new images."""

from mitouts.inference.localizer import Localizer, Prediction

__all__ = ['Localizer', 'Prediction']
