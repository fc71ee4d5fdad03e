"""What a review has changed in the labels that it was about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mitouts.experiments.rows import MeanSd, RowRuns, mean_sd

Summary = Mapping[str, Any]


def _share(number: str, total: str) -> Callable[[Summary], float | None]:
    def share(summary: Summary) -> float | None:
        return summary[number] / summary[total] if number in summary and summary.get(total) else None

    return share


QUANTITIES: Mapping[str, Callable[[Summary], float | None]] = {
    'Items': lambda summary: summary.get('items'),
    'Answers right': _share('right', 'items'),
    'Noise corrected': _share('noise_corrected', 'noise_total'),
    'Clean lost': _share('clean_lost', 'clean_total'),
    'Image labels changed': lambda summary: summary.get('labels_changed'),
}
"""Heading -> quantity of a review stage's summary; shares are of the images that are noisy, or positive and clean."""


@dataclass(frozen=True)
class ReviewScores:
    """Mean and standard deviation over runs of each of :data:`QUANTITIES`; None where no run knows it."""

    runs: RowRuns
    over_runs: dict[str, MeanSd | None]


def score_review(runs: RowRuns) -> ReviewScores:
    """Gather the summaries of a review stage."""
    summaries: Sequence[Summary] = [run.reviews.get(runs.row.stage, {}) for run in runs.done]
    return ReviewScores(
        runs, {name: mean_sd([quantity(each) for each in summaries]) for name, quantity in QUANTITIES.items()}
    )
