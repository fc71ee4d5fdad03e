"""The threshold that slides are counted with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from image_records import changed, evaluated

from mitouts.evaluation.slide_threshold import (
    FIGURES_PER_MM2,
    choose_slide_threshold,
    positive_share,
    slide_threshold_of,
)
from mitouts.structures import EvaluatedImage


def records(maxima, labels, side_px: int = 400, mpp: float | None = 0.25) -> list[EvaluatedImage]:
    return [
        evaluated(number, [], [], map_max=score, label=label, width=side_px, height=side_px, mpp=mpp)
        for number, (score, label) in enumerate(zip(maxima, labels))
    ]


def f1_on_a_slide(threshold: float, maxima: np.ndarray, labels: np.ndarray, share: float) -> float:
    found = maxima > threshold
    tp = share * found[labels == 1].mean()
    fp = (1 - share) * found[labels == 0].mean()
    return 2 * tp / (share + tp + fp)


@pytest.mark.parametrize('rate', [0.5, FIGURES_PER_MM2, 40.0])
def test_no_other_threshold_has_a_larger_f1_at_the_rate_of_a_slide(rate: float) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 300)
    maxima = 1 / (1 + np.exp(-generator.normal(1.5 * labels, 1)))
    chosen = choose_slide_threshold(records(maxima, labels), rate)
    share = 1 - math.exp(-rate * (400 * 0.25e-3) ** 2)
    best = max(f1_on_a_slide(value, maxima, labels, share) for value in [0.0, *maxima])
    assert f1_on_a_slide(chosen.value, maxima, labels, share) == pytest.approx(best, abs=1e-12)


def test_it_is_stricter_than_where_half_of_the_images_are_positive() -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(400) % 2
    maxima = 1 / (1 + np.exp(-generator.normal(2 * labels, 1)))
    half = -math.log(0.5) / 0.01
    assert choose_slide_threshold(records(maxima, labels), half).reason.endswith('(50.0% of such images positive)')
    assert (
        choose_slide_threshold(records(maxima, labels)).value
        > choose_slide_threshold(records(maxima, labels), half).value
    )


def test_the_reason_says_what_it_was_chosen_on() -> None:
    chosen = choose_slide_threshold(records([0.1, 0.9, 0.2], [0, 1, 0]), 5)
    assert chosen.reason == (
        'largest F1 over 3 images (1 positive), weighted as if 5 figures lay in a mm2 of a slide (4.9% of '
        'such images positive)'
    )
    assert slide_threshold_of(chosen.to_dict()) == chosen


def test_the_share_of_positive_images_is_that_of_a_poisson_process() -> None:
    generator = np.random.default_rng(2)
    counted = generator.poisson(5 * 0.04, 200_000)
    assert positive_share(5, 0.04) == pytest.approx((counted > 0).mean(), abs=0.002)


@pytest.mark.parametrize(
    'found',
    [
        [],
        records([0.1, 0.9], [0, 1], mpp=None),
        records([0.1, 0.9], [1, 1]),
        [changed(record, width=10**6, height=10**6) for record in records([0.1, 0.9], [0, 1])],
    ],
)
def test_there_is_none_where_it_cannot_be_chosen(found) -> None:
    assert choose_slide_threshold(found) is None


def test_older_checkpoints_count_with_the_threshold_for_images() -> None:
    value, reason = slide_threshold_of({'map_threshold': 0.4})
    assert value == 0.4
    assert 'carries none for slides' in reason
