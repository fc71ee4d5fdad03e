"""Adapts a finished model to other images: thresholds for images and slides, batch norms."""
