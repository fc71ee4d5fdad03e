"""Finds the published models that the package brings by name: each is ``NAME.pth`` with its card, ``NAME.md``."""

from mitouts.zoo.models import card_of, resolve_checkpoint, zoo_models

__all__ = ['card_of', 'resolve_checkpoint', 'zoo_models']
