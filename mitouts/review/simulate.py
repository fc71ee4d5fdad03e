"""Simulates a rater who is right with a given probability where the truth is known, to see what a review can gain."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mitouts.errors import ReviewError
from mitouts.review.consensus import FinalLabel, review_radius_px
from mitouts.review.store import ReviewStore
from mitouts.review.truth import known_truth

_OTHER: Mapping[FinalLabel, FinalLabel] = {'mitotic': 'look_alike', 'look_alike': 'mitotic'}


def simulate(
    store: ReviewStore,
    document: Mapping[str, Any],
    *,
    rater: str = 'simulated',
    accuracy: float = 0.9,
    seed: int = 0,
) -> dict[str, Any]:
    """Let a simulated rater decide every item, in the ordinary way and blinded.

    The truth comes from the noise marked in the annotation file (``is_noise``): a noisy annotation is a look-alike, any
    other annotated figure is a figure. A place that nobody annotated is a figure if a true one lies within the review's
    radius. An image that is judged as a whole is what its label says, unless the label is noise. Whether the rater is
    right depends on seed, rater and item alone. Calling it again with the same arguments adds nothing.

    Args:
        document: The annotation file that it was made from, as :func:`mitouts.formats.coco.read_coco` returns it.
        accuracy: Probability of a right answer, the same for all items.
        seed: Seed of the errors.

    Returns:
        ``items``, ``right``, ``wrong``, and ``written``, the number of decisions that are new in the log.

    Raises:
        ReviewError: The file does not know which of its labels are noise, or the accuracy is no probability.
    """
    if not 0 <= accuracy <= 1:
        raise ReviewError(f'accuracy must be from 0 to 1, found {accuracy}')
    truth = known_truth(document)
    if truth is None:
        raise ReviewError(
            'a simulated rater needs to know the truth, and neither an image nor an annotation of the annotation file '
            'has is_noise: synthetic sets know it, and AMi-Br fields made with --noise'
        )
    radius_px = review_radius_px(store)
    right = written = 0
    for item in store.items:
        label = truth.of_item(item, radius_px)
        # A number from 0 (included) to 1 (excluded) that depends on seed, rater and item alone.
        draw = int.from_bytes(_digest(seed, rater, item.item_id)[:6], 'big') / 2**48
        is_right = draw < accuracy
        answer = label if is_right else _OTHER[label]
        request = _digest('request', seed, rater, item.item_id, accuracy, answer).hex()[:48]
        decision = store.decide(request=request, rater=rater, item_id=item.item_id, label=answer, blinded=True)
        right += is_right
        written += not decision.repeated
    return {'items': len(store.items), 'right': right, 'wrong': len(store.items) - right, 'written': written}


def _digest(*key: object) -> bytes:
    return hashlib.sha256('\x1f'.join(map(str, key)).encode()).digest()
