"""Finds the published models that the package brings by name: each is ``NAME.pth`` with its card, ``NAME.md``."""

from mitouts.zoo.models import (
    CARD_SECTIONS,
    STARTER,
    card_of,
    name_of,
    pretrained,
    resolve_checkpoint,
    starter,
    zoo_models,
)

__all__ = [
    'CARD_SECTIONS',
    'STARTER',
    'card_of',
    'name_of',
    'pretrained',
    'resolve_checkpoint',
    'starter',
    'zoo_models',
]
