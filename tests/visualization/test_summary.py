from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mitouts.visualization.palette import DROPPED, KEPT
from mitouts.visualization.summary import WIDTH_PX, write_summary

STAGE: dict[str, Any] = {
    'stage': 'teacher',
    'images': 80,
    'minutes': 1.5,
    'image': {'auc': 0.95, 'f1': 0.9},
    'one_to_one': {'tp': 9, 'fp': 1, 'fn': 2, 'precision': 0.9, 'recall': 0.818, 'f1': 0.857, 'f1_ci95': [0.7, 0.9]},
}
LOG = [{'loss': 0.5, 'lr': 0.1, 'epoch': 1, 'iter': 1, 'step': 1}, {'image/f1': 0.7, 'step': 1}]
OVERLAY = np.full((300, 320, 3), (10, 200, 30), np.uint8)
FULL: dict[str, Any] = {
    'title': 'demo',
    'stages': [STAGE],
    'overlays': [OVERLAY] * 2,
    'curves': {'teacher': LOG},
    'histograms': {'teacher': ([0.2, 0.8], [0, 1], 0.5)},
    'distillation': {'kept': 6, 'dropped': 2, 'noise_dropped': 1, 'noise_total': 2, 'clean_kept': 3, 'clean_total': 4},
}


def summary(folder: Path, **changes: Any) -> np.ndarray:
    path = folder / 'summary.png'
    write_summary(path, **{**FULL, **changes})
    return cv2.imread(str(path))[..., ::-1]


@pytest.fixture(scope='module')
def full(tmp_path_factory) -> np.ndarray:
    return summary(tmp_path_factory.mktemp('summary'))


def test_is_1600_px_wide(full):
    assert full.shape[1:] == (WIDTH_PX, 3) == (1600, 3)


def test_same_input_gives_the_same_bytes(tmp_path, full):
    np.testing.assert_array_equal(summary(tmp_path), full)


@pytest.mark.parametrize(
    'change',
    [
        {'title': 'another'},
        {'stages': [{**STAGE, 'minutes': 1.7}]},
        {'curves': {'teacher': [{**LOG[0], 'loss': 0.6}, LOG[1], {**LOG[0], 'step': 2}]}},
        {'histograms': {'teacher': ([0.2, 0.8], [0, 1], 0.6)}},
        {'distillation': {**FULL['distillation'], 'dropped': 3}},
        {'overlays': [OVERLAY, 255 - OVERLAY]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_input_shows(tmp_path, full, change):
    changed = summary(tmp_path, **change)
    assert changed.shape == full.shape
    assert (changed != full).any()


@pytest.mark.parametrize('rest', [{'overlays': []}, {'curves': {}, 'histograms': {}}, {'distillation': None}])
def test_parts_that_are_missing_leave_no_hole(tmp_path, full, rest):
    assert len(summary(tmp_path, **rest)) < len(full)


def test_overlays_are_shown_unscaled_where_they_fit(full):
    assert int((full == OVERLAY[0, 0]).all(axis=2).sum()) == 2 * 300 * 320


def test_wide_overlays_are_reduced_four_in_a_row(tmp_path):
    picture = summary(tmp_path, overlays=[np.full((400, 800, 3), (10, 200, 30), np.uint8)] * 5)
    columns = np.nonzero((picture == (10, 200, 30)).all(axis=2).any(axis=0))[0]
    assert columns.min() >= 24
    assert columns.max() < WIDTH_PX - 24
    rows = (picture == (10, 200, 30)).all(axis=2).any(axis=1).astype(int)
    assert np.count_nonzero(np.diff(rows) == 1) == 2


def test_bars_have_the_shares_of_the_counts(tmp_path):
    picture = summary(tmp_path, distillation={'kept': 60, 'dropped': 20}, curves={}, histograms={}, overlays=[])
    kept, dropped = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (KEPT, DROPPED))
    spans = [np.nonzero((picture == colour).all(axis=2).any(axis=0))[0] for colour in (kept, dropped)]
    widths = [span.max() - span.min() for span in spans]
    assert widths[0] / sum(widths) == pytest.approx(0.75, abs=0.01)
    assert spans[0].max() < spans[1].min()


def test_bars_of_weighted_images_have_the_shares_of_the_weights(tmp_path):
    weighted = {'kept': 80, 'dropped': 0, 'weighted': 40, 'weight_sum': 60.0}
    pictures = [
        summary(tmp_path, distillation=distillation, curves={}, histograms={}, overlays=[])
        for distillation in (weighted, {'kept': 60, 'dropped': 20})
    ]
    kept = tuple(int(KEPT[i : i + 2], 16) for i in (1, 3, 5))
    spans = [np.nonzero((picture == kept).all(axis=2).any(axis=0))[0] for picture in pictures]
    assert (spans[0].min(), spans[0].max()) == (spans[1].min(), spans[1].max())


def test_nothing_known_is_still_a_picture(tmp_path):
    picture = summary(tmp_path, stages=[], overlays=[], curves={}, histograms={}, distillation=None)
    assert picture.shape[1] == WIDTH_PX
    assert (picture < 128).any()


def test_one_class_and_empty_inputs_do_not_fail(tmp_path):
    zero = {'kept': 0, 'dropped': 0, 'noise_dropped': 0, 'noise_total': 0}
    picture = summary(tmp_path, curves={'teacher': []}, histograms={'teacher': ([0.3], [1], None)}, distillation=zero)
    assert picture.shape[1] == WIDTH_PX
