from __future__ import annotations

import numpy as np
import pytest
import torch

from mitouts.errors import ConfigError
from mitouts.models.backbones import BlobFilter
from mitouts.synthetic.amibr_fields import optical_density


def test_the_feature_is_the_smoothed_optical_density_at_the_declared_places() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    backbone = BlobFilter(sigma_px=2.0, stride=4).eval()
    feature = backbone(torch.from_numpy(image).permute(2, 0, 1)[None])[0, 0].numpy()
    reference = optical_density(image, 2.0)
    y, x = (backbone.geometry.cell_to_px(np.arange(n)).astype(int) for n in feature.shape)
    inside = np.ix_((y >= 8) & (y < 56), (x >= 8) & (x < 40))
    # Away from the border: scipy mirrors there with the edge pixel twice, and in evaluation the norm is the identity.
    assert feature[inside] == pytest.approx(reference[np.ix_(y, x)][inside], abs=2e-5)


@pytest.mark.parametrize(('settings', 'words'), [({'sigma_px': 0}, 'sigma_px'), ({'stride': 0}, 'stride')])
def test_bad_settings_are_refused(settings, words) -> None:
    with pytest.raises(ConfigError, match=f'backbone.{words} must be'):
        BlobFilter(**settings)
