from __future__ import annotations

import numpy as np
import pytest
import torch

from mitouts.errors import ConfigError
from mitouts.structures import PointSample
from mitouts.visualization.palette import ANNOTATED, POSITIVE_FRAME
from mitouts.visualization.samples import draw_item, draw_sample

IMAGE = np.full((120, 120, 3), 200, np.uint8)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return np.stack([columns, rows], axis=1)


def test_points_are_circles_at_their_place():
    picture = draw_sample(IMAGE, np.array([[40.0, 70.0]]), 0)
    assert picture.shape == (240, 240, 3)
    ring = (where(picture, ANNOTATED) + 0.5) / 2 - 0.5
    assert len(ring) > 50
    assert np.all(np.abs(np.hypot(*(ring - (40, 70)).T) - 20) <= 1)


@pytest.mark.parametrize('label', [0, 1])
def test_the_frame_is_the_label_even_without_points(label):
    picture = draw_sample(IMAGE, np.zeros((0, 2)), label)
    frame = (picture == POSITIVE_FRAME).all(axis=2)
    assert frame[0].all() == frame[:, -1].all() == bool(label)
    assert not frame[4:-4, 4:-4].any()


def test_an_item_is_drawn_with_its_caption():
    sample = PointSample(metainfo={'img_id': 7, 'case_id': 'A03', 'img_path': 'x.png'})
    sample.gt_label, sample.gt_points = 1, torch.tensor([[5.0, 6.0]])
    inputs = torch.zeros((3, 300, 280), dtype=torch.uint8)
    inputs[0] = 255
    picture, caption = draw_item({'inputs': inputs, 'data_samples': sample})
    assert picture.shape == (300, 280, 3)
    assert tuple(picture[150, 150]) == (255, 0, 0)
    assert caption == '7: label 1, 1 point, case A03'
    sample.set_metainfo({'case_id': 'Case 3'})
    assert draw_item({'inputs': inputs, 'data_samples': sample})[1] == '7: label 1, 1 point, Case 3'


def test_an_item_that_no_step_packed_is_refused() -> None:
    with pytest.raises(ConfigError, match='end with the step that packs'):
        draw_item({'img': np.zeros((8, 8, 3), np.uint8)})
