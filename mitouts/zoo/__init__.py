"""Holds published models, and finds them by name: ``NAME.pth`` and its card, ``NAME.md``, each."""

from mitouts.zoo.models import card_of, resolve_checkpoint, zoo_models

__all__ = ['card_of', 'resolve_checkpoint', 'zoo_models']
