"""The first and the last step of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mitouts.errors import ImageError
from mitouts.imaging.image import write_rgb
from mitouts.transforms import LoadImage, PackPointSample


def _results(**more: Any) -> dict[str, Any]:
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    meta = {'img_id': 3, 'img_path': 'a.png', 'case_id': 'A', 'mpp': 0.25}
    return {**meta, 'img': image, 'gt_points': np.array([[1.5, 2.25]], dtype=np.float32), 'gt_label': 1, **more}


def test_image_is_read_from_its_path(tmp_path: Path) -> None:
    image = _results()['img']
    write_rgb(tmp_path / 'a.png', image)
    loaded = LoadImage()({'img_path': str(tmp_path / 'a.png'), 'width': 9, 'height': 6})
    np.testing.assert_array_equal(loaded['img'], image)


def test_image_of_another_size_than_annotated_is_refused(tmp_path: Path) -> None:
    write_rgb(tmp_path / 'a.png', _results()['img'])
    with pytest.raises(ImageError, match=r'a\.png is 9 x 6 px, but its annotation file says 6 x 9'):
        LoadImage()({'img_path': str(tmp_path / 'a.png'), 'width': 6, 'height': 9})


def test_sample_is_packed_channels_first() -> None:
    results = _results()
    packed = PackPointSample()(results)
    assert packed['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(packed['inputs'].numpy().transpose(1, 2, 0), results['img'])
    sample = packed['data_samples']
    assert sample.metainfo == {'img_id': 3, 'img_path': 'a.png', 'case_id': 'A', 'mpp': 0.25, 'ori_shape': (6, 9)}
    assert sample.gt_label == 1
    torch.testing.assert_close(sample.gt_points, torch.tensor([[1.5, 2.25]]))


def test_empty_points_keep_their_shape() -> None:
    sample = PackPointSample()(_results(gt_points=[], gt_label=1))['data_samples']
    assert sample.gt_points.shape == (0, 2)
    assert sample.gt_points.dtype == torch.float32
    assert sample.gt_label == 1


def test_packed_tensors_own_their_memory() -> None:
    results = _results()
    packed = PackPointSample()(results)
    results['gt_points'][:] = 0
    torch.testing.assert_close(packed['data_samples'].gt_points, torch.tensor([[1.5, 2.25]]))
