"""Draws the labelled images or slides that a model is calibrated on, and warns where there are too few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mitouts.errors import ConfigError

FEW = 10
"""With fewer positive images, or slides, a threshold is hardly more than a guess."""


def draw_images(cases: Sequence[str], wanted: int | None, seed: int) -> tuple[list[int], list[int]]:
    """Draw the images to choose thresholds on, and return those of cases not drawn as well.

    Args:
        cases: The case of each image.
        wanted: Number of images; they come from half of the cases, or from as many more as hold them. None takes all.
        seed: Seed of the draw.

    Returns:
        Numbers of both, ascending; no case is on both sides.

    Raises:
        ConfigError: There are not as many.
    """
    if wanted is None or wanted > len(cases):
        return draw(len(cases), wanted, seed), []
    generator = np.random.default_rng(seed)
    names = generator.permutation(sorted(set(cases))).tolist()
    taken = (len(names) + 1) // 2
    while sum(case in names[:taken] for case in cases) < wanted:
        taken += 1
    inside = [number for number, case in enumerate(cases) if case in names[:taken]]
    chosen = sorted(generator.permutation(inside)[:wanted].tolist())
    return chosen, [number for number, case in enumerate(cases) if case in names[taken:]]


def draw(count: int, wanted: int | None, seed: int) -> list[int]:
    """Draw the indices of the images or slides to use, ascending.

    Raises:
        ConfigError: There are not as many.
    """
    if wanted is None:
        return list(range(count))
    if wanted > count:
        raise ConfigError(f'--num {wanted}: there are only {count}')
    return sorted(np.random.default_rng(seed).permutation(count)[:wanted].tolist())


def too_few(labels: Sequence[int], cases: Sequence[str]) -> list[str]:
    """Return warnings about too few labelled images or cases; empty if there are enough."""
    counts = Counter(labels)
    notes = [
        f'only {counts[label]} {name} images: expect thresholds that would be quite different on others; label at '
        f'least {FEW} of each'
        for label, name in ((1, 'positive'), (0, 'negative'))
        if counts[label] < FEW
    ]
    if len(set(cases)) < 2:
        notes.append('all images are of one case, so nothing can be said about others')
    return notes
