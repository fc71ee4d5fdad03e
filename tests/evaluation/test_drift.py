from __future__ import annotations

import numpy as np
import pytest
import torch

from mitouts.evaluation.drift import measure_drift
from mitouts.evaluation.predicting import predict_batch
from mitouts.functional.geometry import FeatureGeometry
from mitouts.functional.map_reading import read_map
from mitouts.structures import PointSample

SIZE_PX = 96
GEOMETRY = FeatureGeometry(stride=4, center_offset_px=3.0, receptive_radius_px=20.0)


class Beside:
    """A network that answers with a bump at a constant vector beside the one dark spot of an image."""

    geometry = GEOMETRY

    def __init__(self, drift: tuple[float, float]) -> None:
        self.drift = drift

    def data_preprocessor(self, data: dict) -> dict:
        return {'inputs': torch.stack(data['inputs']).float()}

    def __call__(self, inputs: torch.Tensor, samples: list[PointSample], mode: str) -> list[PointSample]:
        assert mode == 'predict'
        rows, columns = np.nonzero(inputs[0, 0].numpy() < 100)
        x, y = columns.mean() + self.drift[0], rows.mean() + self.drift[1]
        cells = GEOMETRY.cell_to_px(np.arange(SIZE_PX // 4))
        bump = np.exp(-((cells[None] - x) ** 2 + (cells[:, None] - y) ** 2) / (2 * 6.0**2))
        (sample,) = samples
        sample.pred_map, sample.pred_score = torch.from_numpy(bump).float(), float(bump.max())
        return samples


class Spots:
    """Images with one dark spot each, as a dataset gives them."""

    def __init__(self, count: int) -> None:
        self.centers = np.random.default_rng(0).integers(25, SIZE_PX - 25, (count, 2))

    def __len__(self) -> int:
        return len(self.centers)

    def get_data_info(self, index: int) -> dict:
        return {'img_id': index + 100}

    def __getitem__(self, index: int) -> dict:
        image = torch.full((3, SIZE_PX, SIZE_PX), 200, dtype=torch.uint8)
        x, y = self.centers[index]
        image[:, y - 1 : y + 2, x - 1 : x + 2] = 50
        return {'inputs': image}


def measured(model: Beside, spots: Spots) -> tuple[float, float]:
    found = []
    for index in range(len(spots)):
        (sample,) = predict_batch(model, [spots[index]['inputs']], [PointSample()])
        points, _ = read_map(sample.pred_map.numpy(), SIZE_PX, SIZE_PX, GEOMETRY, map_threshold=0.5, min_score=None)
        found.append((index + 100, points[0, :2]))
    return measure_drift(model, spots, found, {'map_threshold': 0.5})


@pytest.mark.parametrize('drift', [(0.0, 0.0), (7.0, -4.0), (-5.5, 9.0)])
def test_the_drift_of_a_network_is_measured_without_its_truth(drift: tuple[float, float]) -> None:
    assert measured(Beside(drift), Spots(20)) == pytest.approx(drift, abs=0.7)


def test_a_drift_beyond_the_receptive_field_is_not_believed() -> None:
    assert measured(Beside((21.0, 0.0)), Spots(20)) == (0.0, 0.0)


def test_few_images_give_no_drift() -> None:
    assert measured(Beside((7.0, -4.0)), Spots(9)) == (0.0, 0.0)
