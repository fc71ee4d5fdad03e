"""Criteria that look at no prediction: the oracle and the random drop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import write_json
from mitouts.registry import CRITERIA

LABELS = {image_id: int(image_id > 10) for image_id in range(1, 21)}
IMAGES: dict[int, dict[str, Any]] = {image_id: {'id': image_id} for image_id in LABELS}


def build(name: str, **arguments: Any) -> Any:
    return CRITERIA.build({'type': name, **arguments})


def dropped(verdicts: dict[int, Any]) -> set[int]:
    return {image_id for image_id, verdict in verdicts.items() if not verdict.keep}


def test_the_oracle_drops_what_is_marked_and_nothing_else() -> None:
    images = {key: {**image, 'is_noise': key in (3, 12, 15)} for key, image in IMAGES.items()}
    verdicts = build('OracleNoise').judge_all(images, LABELS)
    assert list(verdicts) == list(LABELS)
    assert dropped(verdicts) == {3, 12, 15}
    reasons = {key: verdict.reason for key, verdict in verdicts.items()}
    assert [reasons[key] for key in (12, 11, 1)] == ['known_noise', 'known_clean', 'negative']


def test_the_oracle_drops_nothing_where_nothing_is_noise() -> None:
    images = {key: {**image, 'is_noise': False} for key, image in IMAGES.items()}
    assert dropped(build('OracleNoise').judge_all(images, LABELS)) == set()


def test_the_oracle_needs_to_know() -> None:
    with pytest.raises(AnnotationError, match=r'OracleNoise needs images\[\]\.is_noise, and no image'):
        build('OracleNoise').judge_all(IMAGES, LABELS)


@pytest.mark.parametrize('number', [0, 1, 4, 10])
def test_so_many_positives_are_dropped_and_no_negative(number: int) -> None:
    verdicts = build('RandomDrop', number=number).judge_all(IMAGES, LABELS)
    assert len(dropped(verdicts)) == number
    assert all(LABELS[image_id] for image_id in dropped(verdicts))
    assert Counter(verdict.reason for verdict in verdicts.values()) == Counter(negative=10, random=10)
    assert list(verdicts) == list(LABELS)


def test_what_is_dropped_depends_on_the_seed_alone() -> None:
    backwards = dict(reversed(IMAGES.items()))
    first, again, other = (
        dropped(build('RandomDrop', number=4, seed=seed).judge_all(images, LABELS))
        for seed, images in ((0, IMAGES), (0, backwards), (1, IMAGES))
    )
    assert first == again != other


def test_every_positive_is_dropped_as_often() -> None:
    """500 draws of 4 out of 10: each is expected 200 times, with a standard deviation of 11."""
    times = Counter(
        image_id
        for seed in range(500)
        for image_id in dropped(build('RandomDrop', number=4, seed=seed).judge_all(IMAGES, LABELS))
    )
    assert set(times) == set(range(11, 21))
    assert all(150 < count < 250 for count in times.values())


def test_the_number_can_be_that_of_another_distillation(tmp_path: Path) -> None:
    samples = [
        {'label': label, 'verdict': verdict}
        for label, verdict, count in ((1, 'drop', 3), (1, 'keep', 4), (0, 'drop', 2), (0, 'keep', 1))
        for _ in range(count)
    ]
    write_json(tmp_path / 'hard_samples.json', {'images': samples})
    verdicts = build('RandomDrop', like=str(tmp_path / 'hard_samples.json')).judge_all(IMAGES, LABELS)
    assert len(dropped(verdicts)) == 3


def test_a_number_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match='give number or like, not both'):
        build('RandomDrop', number=1, like='x')
    with pytest.raises(ConfigError, match='number must be at least 0, found -1'):
        build('RandomDrop', number=-1)
    with pytest.raises(ConfigError, match='is to drop 11 positives, but there are 10'):
        build('RandomDrop', number=11).judge_all(IMAGES, LABELS)
    with pytest.raises(ConfigError, match='does not know how many positives to drop'):
        build('RandomDrop').judge_all(IMAGES, LABELS)


@pytest.mark.parametrize('document', [[], {'info': {}}, {'images': [{'id': 1}]}, {'images': 3}])
def test_a_file_that_no_distillation_wrote_is_refused(document: Any, tmp_path: Path) -> None:
    path = tmp_path / 'other.json'
    with pytest.raises(ConfigError, match=r'other\.json does not exist; give the hard_samples\.json'):
        build('RandomDrop', like=str(path)).judge_all(IMAGES, LABELS)
    write_json(path, document)
    with pytest.raises(ConfigError, match=r'other\.json is no hard_samples\.json'):
        build('RandomDrop', like=str(path)).judge_all(IMAGES, LABELS)
