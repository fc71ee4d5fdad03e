"""Runs a trained model on images: loads it, prepares them, predicts; score maps of large images by tiles."""

from mitouts.inference.localizer import Localizer, Prediction

__all__ = ['Localizer', 'Prediction']
