"""One image's line in ``hard_samples.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mitouts.functional.distillation import Verdict


class Seen(NamedTuple):
    """What the Teacher saw in an image, and the annotator.

    Attributes:
        score: The Teacher's image score.
        predicted: ``(P, 3)`` float64, ``(x, y, score)`` in pixels.
        annotated: ``(G, 2)`` float64, in pixels.
    """

    score: float
    predicted: NDArray[np.float64]
    annotated: NDArray[np.float64]


def sample_entry(image: Mapping[str, Any], label: int, verdict: Verdict, seen: Seen | None = None) -> dict[str, Any]:
    """The entry of one image, ready for JSON.

    Args:
        image: Its entry in the annotation file; where that knows of noise (``is_noise``), so does this one.
        label: 0 or 1.
        verdict: What becomes of it.
        seen: None where the criterion looked at no prediction; the entry then has neither score nor distance. The
            distance of a positive image without annotated points is None.
    """
    entry = {
        'image_id': image['id'],
        'file_name': image['file_name'],
        'case_id': str(image['case_id']),
        'label': label,
        'verdict': 'keep' if verdict.keep else 'drop',
        'reason': str(verdict.reason),
        'weight': verdict.weight if verdict.keep else 0.0,
    }
    if 'is_noise' in image:
        entry['is_noise'] = bool(image['is_noise'])
    if seen is not None:
        is_located = label == 0 or len(seen.annotated) > 0
        entry['distance_px'] = float(verdict.distance_px) if is_located else None
        entry['score'] = seen.score
        entry['predicted_points'] = np.round(seen.predicted, 4).tolist()
        entry['annotated_points'] = np.round(seen.annotated.astype(np.float64), 4).tolist()
    return entry
