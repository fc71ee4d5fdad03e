"""Averages the changes that reviews made to labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mitouts.experiments.rows import RowRuns, StageMeans, mean_sd

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


def score_review(runs: RowRuns) -> StageMeans:
    """Average :data:`QUANTITIES` over the summaries of a review stage."""
    summaries: Sequence[Summary] = [run.reviews.get(runs.row.stage, {}) for run in runs.done]
    return StageMeans(
        runs, {name: mean_sd([quantity(each) for each in summaries]) for name, quantity in QUANTITIES.items()}
    )
