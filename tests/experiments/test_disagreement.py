"""Labels that a Teacher's disagreement is to find: mislabelled images, and figures that annotators doubted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mitouts.errors import AnnotationError
from mitouts.experiments.disagreement import doubted_figures, join, noisy_images
from mitouts.formats.coco import make_annotation, make_document, make_image, read_coco, write_json
from mitouts.utils.files import file_sha256

CONFIDENCES = (1.0, 0.8, 0.65)
SIZE_PX = 200


def sample(image: dict[str, Any], score: float, predicted: list[list[float]], **more: Any) -> dict[str, Any]:
    return {
        'image_id': image['id'],
        'file_name': image['file_name'],
        'case_id': image['case_id'],
        'label': 1,
        'verdict': 'keep',
        'reason': 'agreement',
        'weight': 1.0,
        'distance_px': 3.0,
        'score': score,
        'predicted_points': predicted,
        'annotated_points': [],
        **more,
    }


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Images with one to three figures each, of three cases, and what a Teacher found in them."""
    generator = np.random.default_rng(0)
    images, annotations, samples = [], [], []
    for number in range(1, 31):
        image = make_image(number, f'{number}.png', SIZE_PX, SIZE_PX, case_id=f'c{number % 3}')
        images.append(image)
        for _ in range(int(generator.integers(1, 4))):
            x, y = generator.uniform(0, SIZE_PX - 1, 2).tolist()
            confidence = CONFIDENCES[int(generator.integers(3))]
            annotations.append(make_annotation(len(annotations) + 1, number, 1, x, y, confidence=confidence))
        predicted = generator.uniform(0, SIZE_PX - 1, (int(generator.integers(0, 3)), 2))
        points = [[*point, 0.9] for point in predicted.tolist()]
        noise = {'is_noise': True} if number % 5 == 0 else {}
        distance_px = None if number == 7 else float(generator.uniform(0, 60))
        samples.append(sample(image, float(generator.random()), points, distance_px=distance_px, **noise))
    # What is a look-alike, or counted or centred elsewhere, is not asked about.
    annotations.append(make_annotation(1000, 1, 2, 5.0, 5.0, confidence=0.2))
    annotations.append(make_annotation(1001, 1, 1, 5.0, 5.0, confidence=0.8) | {'iscrowd': 1})
    annotations.append(make_annotation(1002, 1, 1, 5.0, 5.0, confidence=0.8) | {'iscrowd': 1, 'cut': True})
    write_json(tmp_path / 'train.json', make_document(images, annotations, name='n', tool='t'))
    info = {'distilled_from': 'train.json', 'image_root': '..', 'source_sha256': file_sha256(tmp_path / 'train.json')}
    path = tmp_path / 'distill' / 'hard_samples.json'
    write_json(path, {'info': info, 'images': samples})
    return path


def edit(path: Path, change: Any) -> None:
    document = json.loads(path.read_text())
    change(document)
    write_json(path, document)


@pytest.mark.parametrize('below', [1.0, 0.8])
def test_figures_are_doubted_by_their_confidence_and_judged_by_the_nearest_point(judged: Path, below: float) -> None:
    found = doubted_figures(judged, below=below)
    samples = {each['image_id']: each for each in json.loads(judged.read_text())['images']}
    figures = [each for each in read_coco(judged.parents[1] / 'train.json')['annotations'] if each['id'] < 1000]
    places = [each['point'] for each in figures]
    assert found.keys == [
        f'{samples[each["image_id"]]["file_name"]} at x={x:g}, y={y:g}' for each, (x, y) in zip(figures, places)
    ]
    for index, figure in enumerate(figures):
        judgement = samples[figure['image_id']]
        distances = [math.dist(figure['point'], point[:2]) for point in judgement['predicted_points']]
        assert found.measures['distance'][index] == pytest.approx(min(distances, default=SIZE_PX * math.sqrt(2)))
        assert found.measures['image score'][index] == -judgement['score']
        assert found.positive[index] == (figure['confidence'] < below)
        assert found.cases[index] == judgement['case_id']
    score = found.scores(num_bootstrap=0, seed=0)['distance']
    assert score.pooled == pytest.approx(roc_auc_score(found.positive, found.measures['distance']))
    assert score.mixed_cases == 3


def test_noise_is_looked_for_among_positive_images_that_can_be_compared(judged: Path) -> None:
    found = noisy_images(judged)
    assert found.keys == [f'{number}.png' for number in range(1, 31) if number != 7]
    assert found.left_out == 1
    noisy = [key for key, noise in zip(found.keys, found.positive) if noise]
    assert noisy == ['5.png', '10.png', '15.png', '20.png', '25.png', '30.png']
    samples = {each['file_name']: each for each in json.loads(judged.read_text())['images']}
    assert found.measures['distance'].tolist() == [samples[key]['distance_px'] for key in found.keys]
    score = found.scores(num_bootstrap=50, seed=0)['image score']
    low = [-samples[key]['score'] for key in found.keys]
    assert score.pooled == pytest.approx(roc_auc_score(found.positive, low))
    assert score.ci95 is not None


def test_measures_are_compared_on_the_same_labels_alone(judged: Path) -> None:
    images, figures = noisy_images(judged), doubted_figures(judged)
    scores = images.scores(num_bootstrap=0, seed=0)
    difference = images.difference('distance', images, 'image score', num_bootstrap=20, seed=0)
    assert scores['distance'].auc is not None
    assert scores['image score'].auc is not None
    assert difference.difference == pytest.approx(scores['distance'].auc - scores['image score'].auc)
    assert images.shared(figures) == 0
    assert images.difference('distance', figures, 'distance', num_bootstrap=0, seed=0).difference is None
    strict = doubted_figures(judged, below=0.8)
    with pytest.raises(AnnotationError, match='is looked for in one, and not in the other'):
        figures.difference('distance', strict, 'distance', num_bootstrap=0, seed=0)


def test_parts_are_put_together_and_compared_on_what_both_judged(judged: Path) -> None:
    whole = noisy_images(judged)
    document = json.loads(judged.read_text())
    parts = []
    for number, rows in enumerate((slice(0, 12), slice(20, None))):
        path = judged.parents[1] / f'fold_{number}' / 'hard_samples.json'
        write_json(path, {**document, 'images': document['images'][rows]})
        parts.append(noisy_images(path))
    # The order of the parts does not matter.
    both = join(parts[::-1])
    assert both.shared(whole) == len(both.keys) == 21
    assert both.left_out == 1
    assert both.difference('distance', whole, 'distance', num_bootstrap=0, seed=0).difference == 0
    kept = [index for index, key in enumerate(whole.keys) if key in both.keys]
    expected = roc_auc_score(whole.positive[kept], whole.measures['distance'][kept])
    assert both.scores(num_bootstrap=0, seed=0)['distance'].pooled == pytest.approx(expected)
    with pytest.raises(AnnotationError, match=r'1\.png was judged twice'):
        join([whole, both])


def test_an_annotation_file_that_is_gone_must_be_named(judged: Path, tmp_path: Path) -> None:
    elsewhere = (tmp_path / 'train.json').rename(tmp_path / 'moved.json')
    with pytest.raises(AnnotationError, match='the annotation file that was distilled is not beside its images'):
        doubted_figures(judged)
    assert doubted_figures(judged, elsewhere).keys
    edit(elsewhere, lambda document: document['images'][3].update(file_name='other.png'))
    with pytest.raises(AnnotationError, match=r'moved\.json: has no image 4 called 4\.png, which .* judged'):
        doubted_figures(judged, elsewhere)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda a: a.pop('confidence'), 'no mitotic figure of the judged images has a confidence'),
        (lambda a: a.update(confidence='high'), "annotation 1: confidence must be a number, found 'high'"),
        (lambda a: a.update(confidence=1.0), '1 to 1, none are below 1: expected some that are'),
        (lambda a: a.update(confidence=0.5), r'0\.5 to 0\.5, all are below 1: expected some that are'),
    ],
)
def test_confidences_that_answer_nothing(judged: Path, tmp_path: Path, change: Any, message: str) -> None:
    edit(tmp_path / 'train.json', lambda document: [change(each) for each in document['annotations']])
    with pytest.raises(AnnotationError, match=message):
        doubted_figures(judged, tmp_path / 'train.json')


def test_samples_that_answer_nothing(judged: Path) -> None:
    edit(judged, lambda document: [each.pop('score') for each in document['images']])
    for read in (noisy_images, doubted_figures):
        with pytest.raises(AnnotationError, match='their criterion looked at no prediction'):
            read(judged)
    edit(judged, lambda document: [each.pop('is_noise', None) for each in document['images']])
    with pytest.raises(AnnotationError, match='no positive image is known to be mislabelled'):
        noisy_images(judged)
