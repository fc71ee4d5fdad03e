"""No two things that draw at random in a training draw the same numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stained_patches import draw_patch
from tiny_experiment import write_split

from mitouts.datasets import ClassBalancedSampler, HardNegativeSampler, OversampledSampler
from mitouts.imaging.image import write_rgb
from mitouts.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from mitouts.transforms import Transform

SEED = 12345
STEPS: dict[str, dict[str, Any]] = {
    'Augment': {},
    'AugmentTissue': {},
    'FourierSwap': {'reference_folder': 'REFERENCES'},
    'MatchHistogram': {'reference_folder': 'REFERENCES'},
    'RandomTissueCrop': {'size_px': 16, 'mpp': 0.5},
    'StainJitter': {},
}
# Those that draw nothing.
FIXED = {
    'LoadImage',
    'LoadLabels',
    'PackPointSample',
    'PackTissueSample',
    'ResampleTissue',
    'StainNormalize',
    'TileMeans',
}


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The first state of every generator of numpy's and Python's that is made from now on."""
    made: list[bytes] = []
    default_rng, python_random = np.random.default_rng, random.Random

    def recorded(seed: Any = None) -> np.random.Generator:
        generator = default_rng(seed)
        made.append(str(generator.bit_generator.state['state']).encode())
        return generator

    def python_recorded(seed: Any = None) -> random.Random:
        generator = python_random(seed)
        made.append(str(generator.getstate()).encode())
        return generator

    monkeypatch.setattr(np.random, 'default_rng', recorded)
    monkeypatch.setattr(random, 'Random', python_recorded)
    return made


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Transform]:
    write_rgb(tmp_path / 'references' / 'one.png', draw_patch(64, seed=1))

    def built(name: str) -> Transform:
        arguments = {
            key: str(tmp_path / 'references') if value == 'REFERENCES' else value for key, value in STEPS[name].items()
        }
        return TRANSFORMS.build({'type': name, **arguments})

    return built


def _results(seed: int = SEED) -> dict[str, Any]:
    return {
        'img': draw_patch(48, seed=0),
        'img_path': 'none.png',
        'mpp': 0.5,
        'gt_points': np.array([[20.0, 20.0]], dtype=np.float32),
        'gt_labels': np.zeros((48, 48), dtype=np.uint8),
        'gt_label': 1,
        'label_given': False,
        'augmentation_seed': seed,
    }


def _drawn(streams: list[bytes], step: Callable[[dict[str, Any]], Any], results: dict[str, Any]) -> list[bytes]:
    """The streams that a step draws from."""
    streams.clear()
    step(results)
    return list(streams)


def test_every_registered_step_is_covered_here() -> None:
    own = {name for name, kind in TRANSFORMS.module_dict.items() if kind.__module__.startswith('mitouts.')}
    assert own == set(STEPS) | FIXED


def _crops(folder: Path, **arguments: Any) -> Any:
    arguments = {'ann_file': str(folder / 'train.json'), 'crop_px': 16, 'background': 2, 'jitter_px': 2, **arguments}
    return DATASETS.build({'type': 'FigureCropDataset', **arguments})


def _draws_of_samplers_and_datasets(folder: Path, seed: int, streams: list[bytes]) -> dict[str, set[bytes]]:
    """What each draws from in a run with this seed, over some epochs."""
    owners: dict[str, set[bytes]] = {}

    class _Labels:
        def labels(self) -> np.ndarray:
            return np.arange(12) % 4 // 3

        def teacher_scores(self) -> np.ndarray:
            return np.arange(12) / 12

    def note(name: str, work: Callable[[], Any]) -> None:
        owners[name] = set(_drawn(streams, lambda _: work(), {}))

    for kind in (ClassBalancedSampler, HardNegativeSampler, OversampledSampler):

        def epochs(kind: Any = kind) -> None:
            sampler = kind(_Labels(), seed=seed)
            for epoch in range(3):
                sampler.set_epoch(epoch)
                list(sampler)

        note(kind.__name__, epochs)
    write_split(folder, 'train', 8, seed=0)
    note('FigureCropDataset', lambda: _crops(folder, background_seed=seed))
    return owners


def test_no_two_steps_samplers_or_data_sets_share_a_stream(build, streams, tmp_path) -> None:
    owners: dict[str, set[bytes]] = {}
    for name in STEPS:
        owners[name] = set(_drawn(streams, build(name), _results()))
    owners |= _draws_of_samplers_and_datasets(tmp_path, SEED + 1, streams)
    kinds = {name for name, kind in DATA_SAMPLERS.module_dict.items() if kind.__module__.startswith('mitouts.')}
    assert owners.keys() >= set(STEPS) | kinds | {'FigureCropDataset'}
    assert all(owners.values())
    for first in owners:
        for second in owners.keys() - {first}:
            assert not owners[first] & owners[second], (first, second)


def test_the_shift_of_a_crop_is_no_stream_of_a_step(build, streams, tmp_path) -> None:
    write_split(tmp_path, 'train', 8, seed=0)
    dataset = _crops(tmp_path)
    info = {**dataset.get_data_info(0), 'augmentation_seed': SEED}
    shift = _drawn(streams, dataset._cut, info)
    assert len(shift) == 1
    assert not any(shift[0] in _drawn(streams, build(name), _results()) for name in STEPS)


@pytest.mark.parametrize('name', STEPS)
def test_two_steps_of_one_class_draw_differently(name, build, streams) -> None:
    first, second = build(name), build(name)
    drawn = _drawn(streams, lambda results: first(second(first(results))), _results())
    assert len(set(drawn)) == len(drawn) >= 3


@pytest.mark.parametrize('name', STEPS)
def test_a_step_draws_by_the_seed_of_the_sample_alone(name, build, streams) -> None:
    first, second = build(name), build(name)
    steps = ((first, SEED), (second, SEED), (first, SEED + 1))
    drawn = [_drawn(streams, step, _results(seed)) for step, seed in steps]
    assert drawn[0] == drawn[1]
    assert not set(drawn[0]) & set(drawn[2])


def test_a_subclass_has_a_stream_of_its_own_even_under_the_same_name(build) -> None:
    jitter = build('StainJitter')
    own = type('StainJitter', (type(jitter),), {})()
    results = _results()
    first, second = jitter.generator(results), own.generator(results)
    assert first.random() != second.random()
    assert own.generator(_results()).random() != jitter.generator(_results()).random()


@pytest.mark.parametrize(('name', 'key'), [('StainJitter', [1]), ('RandomTissueCrop', [2]), ('Augment', [])])
def test_streams_that_trainings_were_made_with_are_as_they_were(name, key, build) -> None:
    expected = np.random.default_rng([SEED, *key]).random(4)
    np.testing.assert_array_equal(build(name).generator(_results()).random(4), expected)
