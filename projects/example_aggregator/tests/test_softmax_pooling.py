from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from outside import found_in

from mitouts.engine.config import load_config
from mitouts.registry import AGGREGATORS, MODELS

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _on_path() -> Iterator[None]:
    with found_in(PROJECT, 'softmax_pooling'):
        yield


def test_the_config_brings_its_aggregator_along() -> None:
    config = load_config(PROJECT / 'configs' / 'lite0_softmax_phantom.py')
    assert 'softmax_pooling' in sys.modules
    config.model.backbone.weights = None
    model = MODELS.build(config.model)
    assert type(model.head.aggregator).__name__ == 'SoftmaxAggregator'
    output = model.eval()(torch.zeros(1, 3, 64, 64), mode='tensor')
    assert output.image_logit.shape == (1,)


def test_pooling_equals_a_plain_loop() -> None:
    load_config(PROJECT / 'configs' / 'lite0_softmax_phantom.py')
    values = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    pooled = AGGREGATORS.build(dict(type='SoftmaxAggregator', temperature=0.5))(values, values).value
    for image in range(2):
        for channel in range(3):
            flat = values[image, channel].numpy().ravel().astype(np.float64)
            weights = np.exp(flat / 0.5)
            assert pooled[image, channel].item() == pytest.approx((flat * weights).sum() / weights.sum(), rel=1e-5)
