from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from costed_suite import make_model, write_checkpoint
from suite_runs import Group, write_suite
from torch import Tensor, nn

from mitouts.errors import CheckpointError, MitoutsError
from mitouts.experiments import cost_measurement
from mitouts.experiments.cost_measurement import (
    Measuring,
    Predictor,
    Trained,
    count_macs,
    count_parameters,
    measure,
    open_predictor,
    trained_models,
)
from mitouts.experiments.rows import TableRow
from mitouts.experiments.suite_results import read_suite
from mitouts.structures import PointSample

ROW = TableRow('box', 'model', 'Boxes')


@pytest.fixture(scope='module')
def suite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = (Group('box', staged=False, folds=(None,), seeds=(0,)), Group('arms', folds=(0,), seeds=(0,)))
    return write_suite(
        tmp_path_factory.mktemp('suite'), groups, failed=('arms', 0, 0), num_images=8, num_cases=2, pictures=True
    )


@pytest.fixture
def trained(suite_path: Path, tmp_path: Path) -> Trained:
    return Trained(ROW, write_checkpoint(tmp_path / 'best.pth'), suite_path.parents[1] / 'data' / 'box' / 'test.json')


class PointModel(nn.Module):
    """Finds the middle of every image, after a 1 x 1 convolution from 3 to 5 channels."""

    geometry = None

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 1)
        self.calibration: dict[str, Any] = {}
        self.seen: list[tuple[int, ...]] = []

    def data_preprocessor(self, data: dict[str, Any]) -> dict[str, Any]:
        return {'inputs': torch.stack(data['inputs']).float()}

    def forward(self, inputs: Tensor, samples: list[PointSample], mode: str) -> list[PointSample]:
        assert mode == 'predict'
        assert not torch.is_grad_enabled()
        assert not any('pred_points' in sample for sample in samples)
        self.seen.append(tuple(inputs.shape))
        self.convolution(inputs)
        for sample in samples:
            sample.pred_points = torch.tensor([[inputs.shape[-1] / 2, inputs.shape[-2] / 2, 0.9]])
            sample.pred_score = 0.9
        return samples


def items(count: int, width: int = 20, height: int = 10) -> list[dict[str, Any]]:
    return [
        {'inputs': torch.zeros(3, height, width, dtype=torch.uint8), 'data_samples': PointSample()}
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ('module', 'shape', 'expected'),
    [
        # Every output value of a convolution takes one multiplication a kernel value and input channel of its group.
        (nn.Conv2d(3, 5, 1), (1, 3, 4, 6), 4 * 6 * 5 * 3),
        (nn.Conv2d(3, 5, 1, bias=False), (2, 3, 4, 6), 2 * 4 * 6 * 5 * 3),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1), (1, 4, 8, 8), 4 * 4 * 8 * 4 * 9),
        (nn.Conv2d(6, 6, 5, padding=2, groups=6), (1, 6, 7, 7), 7 * 7 * 6 * 25),
        (nn.Linear(10, 4), (3, 10), 3 * 10 * 4),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (1, 3, 8, 8), 0),
    ],
)
def test_macs_are_those_by_hand(module: nn.Module, shape: tuple[int, ...], expected: int) -> None:
    module.eval()
    assert count_macs(lambda: module(torch.zeros(shape))) == expected


def test_weights_count_once_frozen_or_not_and_statistics_do_not() -> None:
    first, second = nn.Conv2d(3, 5, 1), nn.Linear(4, 2)
    first.requires_grad_(False)
    assert count_parameters(nn.Sequential(first, nn.BatchNorm2d(5), second, second)) == (15 + 5) + 10 + (8 + 2)


def test_every_image_is_predicted_anew_in_batches() -> None:
    model = PointModel()
    predictor = Predictor(model, items(5), batch_size=2)
    assert predictor.megapixels == 5 * 200 / 1e6
    assert predictor.macs() == 5 * 200 * 3 * 5
    assert predictor.predict() > 0
    assert model.seen == [(2, 3, 10, 20), (2, 3, 10, 20), (1, 3, 10, 20)] * 2


def test_points_are_read_while_the_clock_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    read_prediction = cost_measurement.read_prediction
    monkeypatch.setattr(cost_measurement, 'read_prediction', lambda *args: read.append(read_prediction(*args).points))
    Predictor(PointModel(), items(3), batch_size=2).predict()
    assert [points.tolist() for points in read] == [[[10, 5, pytest.approx(0.9)]]] * 3


def test_a_checkpoint_is_measured_on_its_test_images(trained: Trained) -> None:
    costs = measure([trained], Measuring(num_images=3, batch_size=2, rounds=2))
    model, cost = make_model(), costs.models['box/model']
    macs: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda m, inputs, output: macs.append(output.numel() * m.weight[0].numel())  # type: ignore[misc]
            )
    model(torch.zeros(1, 3, 128, 128))
    assert cost.parameters == sum(weight.numel() for weight in model.parameters())
    assert cost.gmac_per_megapixel == pytest.approx(sum(macs) / 1e9 / (128 * 128 / 1e6))
    assert len(cost.seconds) == 2
    assert cost.megapixels_per_second == pytest.approx(3 * 128 * 128 / 1e6 / (sum(cost.seconds) / 2))
    assert (cost.label, cost.checkpoint) == ('Boxes', str(trained.checkpoint))
    assert {key: costs.info[key] for key in ('images', 'batch_size', 'rounds', 'device')} == {
        'images': 3, 'batch_size': 2, 'rounds': 2, 'device': 'cpu',
    }  # fmt: skip
    assert costs.info['megapixels'] == pytest.approx(3 * 128 * 128 / 1e6)
    assert costs.info['environment']['threads'] == str(torch.get_num_threads())


def test_models_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Recorder(Predictor):
        def __init__(self, name: str) -> None:
            super().__init__(PointModel(), items(1))
            self.name = name

        def macs(self) -> int:
            order.append(f'{self.name} counted')
            return 0

        def predict(self) -> float:
            order.append(self.name)
            return {'a': 1.0, 'b': 2.0}[self.name] * len(order)

    monkeypatch.setattr(cost_measurement, 'open_predictor', lambda trained, settings: Recorder(trained.row.stage))
    models = [Trained(TableRow('group', name, name), Path(name), Path('test.json')) for name in 'ab']
    costs = measure(models, Measuring(rounds=3))
    assert order == ['a counted', 'b counted', 'a', 'b', 'b', 'a', 'a', 'b']
    assert costs.models['group/a'].seconds == (3.0, 6.0, 7.0)
    assert costs.models['group/a'].megapixels_per_second == pytest.approx(200 / 1e6 / 6)
    assert costs.models['group/b'].megapixels_per_second == pytest.approx(200 / 1e6 / 10)


def test_models_on_different_images_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {'a': 1, 'b': 2}
    monkeypatch.setattr(
        cost_measurement,
        'open_predictor',
        lambda trained, settings: Predictor(PointModel(), items(sizes[trained.row.stage])),
    )
    models = [Trained(TableRow('group', name, name), Path(name), Path('test.json')) for name in 'ab']
    with pytest.raises(MitoutsError, match=r'group/a has 1 test images .* group/b 2 of 0\.00: measure models with'):
        measure(models, Measuring())


def test_the_same_images_are_drawn_for_every_model(trained: Trained) -> None:
    drawn = [
        [
            item['data_samples'].img_id
            for batch in open_predictor(trained, Measuring(num_images=4)).batches
            for item in batch
        ]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1] == sorted(drawn[0])
    assert len(set(drawn[0])) == 4


def test_the_first_done_run_of_a_row_is_measured(suite_path: Path) -> None:
    suite = read_suite(suite_path)
    checkpoint = write_checkpoint(suite_path / 'box' / 'seed0' / 'model' / 'best.pth')
    (found,) = trained_models(suite, [ROW])
    assert (found.row, found.checkpoint, found.ann_file.name) == (ROW, checkpoint, 'test.json')
    checkpoint.unlink()
    with pytest.raises(CheckpointError, match='holds no checkpoint'):
        trained_models(suite, [ROW])
    with pytest.raises(MitoutsError, match='arms/student: no run is done, so there is nothing to measure'):
        trained_models(suite, [TableRow('arms', 'student', 'Student')])


def test_a_checkpoint_without_test_images_is_refused(trained: Trained, tmp_path: Path) -> None:
    bare = write_checkpoint(tmp_path / 'bare.pth', test_dataloader=None)
    with pytest.raises(CheckpointError, match=r'bare\.pth has no test_dataloader'):
        open_predictor(Trained(ROW, bare, trained.ann_file), Measuring())
