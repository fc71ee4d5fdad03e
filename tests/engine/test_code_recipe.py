"""The model of the authors' public code through a whole training, test and prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import tiny_config

from mitouts.checkpoint import read_checkpoint
from mitouts.engine import runs
from mitouts.imaging.image import read_rgb
from mitouts.inference import Localizer
from mitouts.visualization.scalars import is_training_line, read_scalars


def test_upsampled_logits_a_constraint_and_oversampling_train_and_predict(tmp_path: Path) -> None:
    config = tiny_config(
        tmp_path,
        train_cfg__max_epochs=2,
        model__head__bias=False,
        model__head__upsample='align_corners',
        model__head__extra_losses=[dict(type='CentroidConstraintLoss', kind='log_barrier', margin_px=10)],
        train_dataloader__sampler=dict(type='OversampledSampler'),
    )
    trained = runs.train(config, tmp_path / 'run')
    losses = [entry for entry in read_scalars(tmp_path / 'run') if is_training_line(entry)]
    assert all(entry['loss'] == pytest.approx(entry['loss_image'] + entry['loss_centroid']) for entry in losses)
    assert any(entry['loss_centroid'] > 0 for entry in losses)

    calibration = read_checkpoint(trained.checkpoint)['meta']['mitouts']
    assert calibration['geometry']['upsample'] == 'align_corners'
    # The image score is the highest pixel of the map, so both thresholds are chosen on the same numbers.
    assert calibration['map_threshold'] == pytest.approx(calibration['image_threshold'], abs=1e-5)
    tested = runs.evaluate(config, trained.checkpoint, tmp_path / 'test')
    localizer = Localizer.from_checkpoint(trained.checkpoint)
    for record in tested.records:
        assert record.prediction.map_max == pytest.approx(record.prediction.score, abs=1e-5)
        prediction = localizer.predict(read_rgb(record.truth.path), mpp=0.25)
        np.testing.assert_allclose(prediction.points, record.prediction.points, atol=1e-3)
