"""Synthetic tissue regions: labels tell the truth about the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from mitouts.errors import ConfigError
from mitouts.functional.tissue_mask import tissue_mask
from mitouts.synthetic.phantom import PhantomCase, PhantomConfig, draw_case
from mitouts.synthetic.phantom.regions import OUTSIDE_CODE, REGION_CODES, make_region_field


@pytest.fixture(scope='module')
def case() -> PhantomCase:
    return draw_case(PhantomConfig(), np.random.default_rng(0), 'scanner_a')


@pytest.mark.parametrize('kind', list(REGION_CODES))
def test_one_kind_fills_a_field(case, kind) -> None:
    field = make_region_field(96, 0.5, case, np.random.default_rng(1), kinds=(kind,))
    assert field.image.shape == (96, 96, 3)
    assert set(np.unique(field.codes)) <= {REGION_CODES[kind], OUTSIDE_CODE}
    coloured = tissue_mask(field.image).mean()
    if kind == 'glass':
        assert coloured < 0.01
    elif kind != 'fat':
        assert coloured > 0.7


def test_kinds_look_as_they_should(case) -> None:
    fields = {
        kind: make_region_field(128, 0.5, case, np.random.default_rng(2), kinds=(kind,)).image.astype(float)
        for kind in REGION_CODES
    }
    dark = {kind: (image.max(axis=2) < 140).mean() for kind, image in fields.items()}
    # Lymphocytes are small, dark and many; stroma has few nuclei.
    assert dark['inflammation'] > 2 * dark['stroma']
    assert dark['tumour'] > dark['stroma']
    # Necrosis and blood are eosinophilic: more red than blue against inflammation.
    redness = {kind: (image[..., 0] - image[..., 2]).mean() for kind, image in fields.items()}
    assert redness['necrosis'] > redness['inflammation']
    assert redness['blood'] > redness['inflammation']


def test_borders_of_the_labels_are_those_of_the_pixels(case) -> None:
    field = make_region_field(160, 0.5, case, np.random.default_rng(3), kinds=('glass', 'necrosis'))
    judged = field.codes != OUTSIDE_CODE
    agreement = (tissue_mask(field.image) == (field.codes == REGION_CODES['necrosis']))[judged]
    assert agreement.mean() > 0.95


def test_the_same_seed_gives_the_same_field(case) -> None:
    first, second = (make_region_field(64, 0.5, case, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.codes, second.codes)
    assert first.kinds == second.kinds


def test_some_fields_have_a_corner_that_nobody_labelled(case) -> None:
    shares = [
        (make_region_field(64, 0.5, case, np.random.default_rng(seed), kinds=('glass',)).codes == OUTSIDE_CODE).mean()
        for seed in range(30)
    ]
    assert 0 < sum(share > 0 for share in shares) < 15
    assert max(shares) < 0.3


def test_impossible_fields(case) -> None:
    with pytest.raises(ConfigError, match='at least 32 um wide'):
        make_region_field(32, 0.5, case, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"unknown kinds of region: \['bone'\]"):
        make_region_field(64, 0.5, case, np.random.default_rng(0), kinds=('bone',))
