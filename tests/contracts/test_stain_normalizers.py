"""What every stain normalizer promises."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
from outside import names_in
from stained_patches import NO_STAINS, STAINS, draw_patch

from mitouts.errors import ConfigError
from mitouts.registry import STAIN_NORMALIZERS
from mitouts.stain import Fit, NormalizerChain, StainNormalizer, fit_reference, known_methods
from mitouts.stain.base import find_normalizer

NAMES = names_in(STAIN_NORMALIZERS, StainNormalizer, 'means')
IMAGE = draw_patch(120, noise=2)
OTHER = draw_patch(120, seed=3, stains=STAINS[:, [0, 2, 1]], noise=2)


@pytest.mark.parametrize('name', NAMES)
def test_it_measures_arrays_of_the_shapes_that_it_says(bring, name: str) -> None:
    bring(name)
    normalizer = find_normalizer(name)
    before = IMAGE.copy()
    numbers = normalizer.measure(IMAGE)
    np.testing.assert_array_equal(IMAGE, before)
    assert isinstance(numbers, normalizer.numbers)
    assert {field.name for field in dataclasses.fields(numbers)} == {*normalizer.shapes}
    for field, shape in normalizer.shapes.items():
        values = getattr(numbers, field)
        assert values.shape == shape
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(getattr(normalizer.measure(IMAGE), field), values)
    assert normalizer.flaw(numbers) is None
    assert normalizer.flaw(normalizer.rounded(numbers)) is None
    assert normalizer.measure(IMAGE.reshape(-1, 1, 3)) is not None


@pytest.mark.parametrize('name', NAMES)
def test_it_recolours_into_a_new_array_and_the_same_again(bring, name: str) -> None:
    bring(name)
    normalizer = find_normalizer(name)
    measured, reference = normalizer.measure(IMAGE), normalizer.measure(OTHER)
    before = IMAGE.copy()
    recoloured = normalizer.recolour(IMAGE, measured, reference)
    assert recoloured.shape == IMAGE.shape
    assert recoloured.dtype == np.uint8
    assert not np.shares_memory(recoloured, IMAGE)
    np.testing.assert_array_equal(IMAGE, before)
    np.testing.assert_array_equal(normalizer.recolour(IMAGE, measured, reference), recoloured)
    means = [np.asarray(each, dtype=float).mean(axis=(0, 1)) for each in (IMAGE, recoloured, OTHER)]
    assert np.abs(means[1] - means[2]).max() < np.abs(means[0] - means[2]).max() / 2


@pytest.mark.parametrize('name', NAMES)
def test_its_numbers_are_kept_in_a_file_and_it_in_a_chain(bring, name: str) -> None:
    bring(name)
    assert name in known_methods()
    reference = json.loads(json.dumps(fit_reference(OTHER, 'other', [name]).to_dict()))
    chain = NormalizerChain([name], reference)
    fit = chain.fit(IMAGE)
    assert fit is not None
    again = Fit.from_dict(json.loads(json.dumps(fit.to_dict())))
    normalized, done = chain.normalize(IMAGE)
    assert done
    np.testing.assert_array_equal(chain.apply(IMAGE, again), normalized)
    copied = pickle.loads(pickle.dumps(chain))
    np.testing.assert_array_equal(copied.normalize(IMAGE)[0], normalized)


@pytest.mark.parametrize('name', NAMES)
def test_numbers_of_other_shapes_are_refused(bring, name: str) -> None:
    bring(name)
    numbers = {field: np.zeros((*shape, 2)).tolist() for field, shape in find_normalizer(name).shapes.items()}
    with pytest.raises(ConfigError, match=rf'{name}\.\w+ must be finite numbers of shape'):
        Fit.from_dict({name: numbers})


@pytest.mark.parametrize('kind', NO_STAINS)
@pytest.mark.parametrize('name', NAMES)
def test_what_cannot_be_measured_stays_as_it_is(bring, name: str, kind: str) -> None:
    bring(name)
    image = NO_STAINS[kind].copy()
    chain = NormalizerChain([name], fit_reference(OTHER, 'other', [name]).to_dict())
    normalized, done = chain.normalize(image)
    assert normalized.shape == image.shape
    assert done or normalized is image


@pytest.mark.parametrize('name', ['os.system', 'mitouts.stain.methods.Macenko', 'StainNormalize'])
def test_only_registered_names_are_normalizers(name: str) -> None:
    with pytest.raises(ConfigError, match='must be one of none, macenko'):
        NormalizerChain([name])
