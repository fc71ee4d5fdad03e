"""Cuts annotated images and slides into training patches, with their stain normalized."""
