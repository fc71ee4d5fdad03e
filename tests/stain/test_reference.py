"""Fits and references as files."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stained_patches import NO_STAINS, draw_patch

from mitouts.errors import ConfigError
from mitouts.imaging.image import write_rgb
from mitouts.stain import DEFAULT_REFERENCE, Fit, build_normalizer, fit_reference, known_methods, load_reference

IMAGE = draw_patch(100)


def test_package_brings_numbers_for_every_method_and_says_of_what() -> None:
    reference = load_reference(None, known_methods())
    assert 'MIDOG 2021 slide 140' in reference.source['note']
    stains = reference.part('macenko').stains
    # Haematoxylin takes more red than eosin.
    assert stains[0, 0] > stains[1, 0]
    assert DEFAULT_REFERENCE.stat().st_size < 40_000


def test_saved_fit_is_loaded_as_it_was(tmp_path) -> None:
    fit = build_normalizer('histogram+macenko').fit(IMAGE)
    fit.save(tmp_path / 'fit.json')
    assert Fit.load(tmp_path / 'fit.json').to_dict() == fit.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ['fit.json']


def test_saved_fit_serves_as_a_reference(tmp_path) -> None:
    build_normalizer('macenko').fit(IMAGE).save(tmp_path / 'slide.json')
    normalizer = build_normalizer('macenko', tmp_path / 'slide.json')
    assert normalizer.describe()['reference']['source'] == 'slide.json'
    assert np.abs(normalizer.normalize(IMAGE)[0].astype(int) - IMAGE).mean() < 1


def test_image_serves_as_a_reference(tmp_path) -> None:
    write_rgb(tmp_path / 'field.png', IMAGE)
    expected = fit_reference(IMAGE, 'field.png', ['macenko']).to_dict()
    assert load_reference(str(tmp_path / 'field.png'), ['macenko']).to_dict() == expected


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('none.json', None, 'does not exist'),
        ('none.png', None, 'does not exist'),
        ('broken.json', '{"macenko": ', 'is not a JSON file'),
        ('list.json', '[1, 2]', 'expected a JSON object'),
        ('other.json', '{"images": []}', 'holds the numbers of no method; .* found images'),
        ('short.json', '{"macenko": {"stains": [[1, 0, 0], [0, 1, 0]]}}', 'must be an object with stains and maxima'),
        ('text.json', '{"macenko": {"stains": "a", "maxima": [1, 1]}}', 'macenko.stains must be numbers'),
        ('shape.json', '{"macenko": {"stains": [1, 2], "maxima": [1, 1]}}', r'finite numbers of shape \(2, 3\)'),
        ('nan.json', '{"macenko": {"stains": [[1, 0, 0], [0, 1, NaN]], "maxima": [1, 1]}}', 'finite numbers'),
        ('long.json', '{"macenko": {"stains": [[2, 0, 0], [0, 1, 0]], "maxima": [1, 1]}}', 'must have length 1'),
        ('parallel.json', '{"macenko": {"stains": [[1, 0, 0], [1, 0, 0]], "maxima": [1, 1]}}', '5 degrees apart'),
        ('negative.json', '{"macenko": {"stains": [[1, 0, 0], [0, 1, 0]], "maxima": [1, -1]}}', 'at least 0.1'),
        ('flat.json', '{"reinhard": {"mean": [1, 1, 1], "std": [0, 1, 1]}}', 'each std must be at least'),
        ('falling.json', json.dumps({'histogram': {'quantiles': [[1.0, 0.5, *[1.0] * 254]] * 3}}), 'must rise'),
        ('lacking.json', '{"reinhard": {"mean": [1, 1, 1], "std": [1, 1, 1]}}', 'has no numbers for macenko'),
    ],
)
def test_unusable_references_are_named(tmp_path, name, content, message) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_reference(tmp_path / name, ['macenko'])


def test_reference_that_is_no_image_is_named(tmp_path) -> None:
    (tmp_path / 'slide.svs').write_bytes(b'abc')
    with pytest.raises(
        ConfigError, match=r'slide.svs: expected a slide .* \(mitouts stain-reference makes a reference of a slide'
    ):
        load_reference(tmp_path / 'slide.svs', ['macenko'])


def test_reference_of_another_type_is_named() -> None:
    with pytest.raises(ConfigError, match='a file, a dict or None, found 3'):
        load_reference(3, ['macenko'])


@pytest.mark.parametrize('kind', ['white', 'grey'])
def test_image_without_stains_is_no_reference(kind) -> None:
    with pytest.raises(ConfigError, match='macenko cannot be fitted, so it cannot be a reference'):
        fit_reference(NO_STAINS[kind], 'field')


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**400), 10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    (),
    ('macenko',),
    ('macenko', 'stains'),
    ('macenko', 'maxima', 0),
    ('reinhard', 'std'),
    ('histogram', 'quantiles', 1),
]


@settings(max_examples=150)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_content_is_a_reference_or_a_clear_error(place, value) -> None:
    document = copy.deepcopy(_DOCUMENT)
    if place:
        target = document
        for key in place[:-1]:
            target = target[key]
        target[place[-1]] = value
    else:
        document = {'macenko': value}
    try:
        fit = Fit.from_dict(document)
    except ConfigError:
        return
    assert all(np.isfinite(values).all() for numbers in fit.parts.values() for values in vars(numbers).values())


_DOCUMENT = fit_reference(IMAGE, 'field', ['macenko', 'reinhard', 'histogram']).to_dict()
