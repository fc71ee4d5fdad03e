"""Which colours can be H&E, on stains that are mixed by Lambert and Beer's law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mitouts.functional.he_colours import colour_doubt
from mitouts.imaging import open_slide

# Ruifrok and Johnston 2001.
HAEMATOXYLIN, EOSIN, DAB = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)
SLIDES = Path(__file__).parents[3] / 'shared' / 'data' / 'slides'


def stained(*stains_and_amounts) -> np.ndarray:
    rng = np.random.default_rng(0)
    density = np.zeros((120, 150, 3))
    for stain, amount in stains_and_amounts:
        density += rng.gamma(2.0, amount / 2, (120, 150, 1)) * np.array(stain)
    return np.clip(240 * 10**-density, 0, 255).astype(np.uint8)


def test_he_is_not_doubted_pale_or_dense_with_glass_or_a_black_border():
    for image in (stained((HAEMATOXYLIN, 0.3), (EOSIN, 0.3)), stained((HAEMATOXYLIN, 0.9), (EOSIN, 0.5))):
        assert colour_doubt(image) is None
        bordered = np.concatenate([image, np.full_like(image, 240), *[np.zeros_like(image)] * 3])
        assert colour_doubt(bordered) is None


def test_glass_and_hardly_any_tissue_are_not_judged():
    assert colour_doubt(np.full((100, 100, 3), 243, np.uint8)) is None


def test_fluorescence_is_doubted_even_with_bright_nuclei():
    image = np.full((100, 100, 3), 5, np.uint8)
    assert 'background is dark' in colour_doubt(image)
    image[::9, ::9] = (60, 90, 255)
    assert 'background is dark' in colour_doubt(image)


@pytest.mark.parametrize(
    'image',
    [
        stained((DAB, 0.5)),
        stained((DAB, 0.6), (HAEMATOXYLIN, 0.1)),
        np.repeat(stained((EOSIN, 0.6))[..., 1:2], 3, axis=2),
        stained((HAEMATOXYLIN, 0.4), (EOSIN, 0.4))[..., [1, 0, 2]],
    ],
    ids=['brown', 'brown and blue', 'grey', 'channels exchanged'],
)
def test_other_stains_and_greys_are_doubted(image):
    assert 'colours are not those of H&E' in colour_doubt(image)


@pytest.mark.skipif(not SLIDES.is_dir(), reason='third-party slides (../shared/data/slides) are not here')
def test_real_slides():
    doubted = {}
    for name in ('CMU-1-Small-Region.svs', 'tcga-cr-7395-01a-01-ts1.svs', 'fluorescence.ndpi'):
        with open_slide(SLIDES / name) as reader:
            doubted[name] = colour_doubt(reader.thumbnail(512))
    assert [name for name, doubt in doubted.items() if doubt] == ['fluorescence.ndpi']
