"""Chooses the hard samples to show on a sheet, and writes their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitouts.errors import MitoutsError
from mitouts.utils.words import case_words


def choose_samples(
    path: Path, samples: Sequence[Mapping[str, Any]], verdict: str, reason: str | None
) -> list[Mapping[str, Any]]:
    """Choose the samples of a verdict and a reason: largest distance first, then least certain image score.

    Raises:
        MitoutsError: There is none.
    """
    judged = [sample for sample in samples if verdict in ('all', sample['verdict'])]
    chosen = [sample for sample in judged if reason in (None, sample['reason'])]
    if not chosen:
        known = ', '.join(sorted({sample['reason'] for sample in judged})) or 'none'
        wanted = f'verdict {verdict}' + (f' and reason {reason}' if reason else '')
        raise MitoutsError(f'{path}: no sample with {wanted}; the reasons under this verdict are: {known}')
    return sorted(chosen, key=lambda s: (-_number(s, 'distance_px', -1.0), _number(s, 'score', 0.0), s['image_id']))


def caption(sample: Mapping[str, Any], noisy: set[int] | None) -> list[str]:
    """Write case, reason, score and distance in three lines."""
    truth = '' if noisy is None else (', noise' if sample['image_id'] in noisy else ', clean')
    score, distance = _number(sample, 'score', None), _number(sample, 'distance_px', None)
    numbers = [f'score {score:.2f}' if score is not None else 'no score']
    if sample.get('predicted_points') and sample.get('annotated_points') and distance is not None:
        numbers.append(f'{distance:.0f} px')
    return [
        f'{case_words(str(sample.get("case_id", "unknown")))}{truth}',
        str(sample['reason']).replace('_', ' '),
        ', '.join(numbers),
    ]


def _number(sample: Mapping[str, Any], key: str, default: Any) -> Any:
    value = sample.get(key)
    return default if value is None else float(value)
