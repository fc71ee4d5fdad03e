"""The command that asks whether a Teacher's disagreement finds wrong or doubted labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calling import Call

from mitouts.formats.coco import make_annotation, make_document, make_image, write_json


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A Teacher that looks at the truth, and one that guesses, on the same images."""
    generator = np.random.default_rng(0)
    images = [make_image(n, f'{n}.png', 64, 64, case_id=f'c{n % 4}') for n in range(40)]
    noisy = [n // 4 % 2 == 1 for n in range(40)]
    annotations = [
        make_annotation(n, n, 1, 30.0, 30.0, confidence=0.8 if doubted else 1.0) for n, doubted in enumerate(noisy)
    ]
    write_json(tmp_path / 'train.json', make_document(images, annotations, name='n', tool='t'))
    paths = []
    for name in ('knowing', 'guessing'):
        samples: list[dict[str, Any]] = []
        for image, noise in zip(images, noisy):
            off = (25.0 if noise else 1.0) if name == 'knowing' else float(generator.uniform(0, 30))
            samples.append(
                {
                    'image_id': image['id'],
                    'file_name': image['file_name'],
                    'case_id': image['case_id'],
                    'label': 1,
                    'verdict': 'keep',
                    'reason': 'agreement',
                    'weight': 1.0,
                    'is_noise': noise,
                    'distance_px': off,
                    'score': float(generator.random()),
                    'predicted_points': [[30.0 + off, 30.0, 0.9]],
                    'annotated_points': [[30.0, 30.0]],
                }
            )
        path = tmp_path / name / 'hard_samples.json'
        write_json(path, {'info': {'distilled_from': 'train.json', 'image_root': '..'}, 'images': samples})
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.parametrize('about', ['noise', 'confidence'])
def test_a_teacher_that_knows_finds_all_and_one_that_guesses_does_not(
    about: str, files: tuple[Path, Path], call: Call, tmp_path: Path
) -> None:
    out = tmp_path / 'out.json'
    code, text, err = call('disagreement', *files, '--about', about, '--json', out, '--num-bootstrap', 200)
    assert (code, err) == (0, '')
    result = json.loads(out.read_text())
    knowing, guessing = (result['teachers'][name]['distance'] for name in ('knowing', 'guessing'))
    assert knowing['auc'] == knowing['pooled'] == 1
    assert knowing['ci95'] == [1, 1]
    assert 0.2 < guessing['auc'] < 0.8
    assert guessing['ci95'][0] < guessing['auc'] < guessing['ci95'][1]
    assert (guessing['positives'], guessing['negatives'], guessing['mixed_cases']) == (20, 20, 4)
    assert [case['case_id'] for case in guessing['cases']] == ['c0', 'c1', 'c2', 'c3']
    difference = result['differences']['distance: guessing - knowing']
    assert difference['difference'] == pytest.approx(guessing['auc'] - 1)
    assert 'knowing: distance - image score' in result['differences']
    assert 'AUC within cases' in text
    assert '4 of 4' in text


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--labels', 'a'], '--labels must name each of the 2 files, found 1 names'),
        (['--labels', 'a', 'a'], '0.png was judged twice'),
        (['--ann-file', 'x.json'], '--ann-file goes with --about confidence'),
        (
            ['--about', 'confidence', '--ann-file', 'x', 'y', 'z'],
            '--ann-file takes one file or one for each of 2, found 3',
        ),
    ],
)
def test_options_that_make_no_sense(more: list[str], message: str, files: tuple[Path, Path], call: Call) -> None:
    code, _, err = call('disagreement', *files, *more)
    assert code == 2
    assert message in err


def test_a_file_given_twice_is_refused(files: tuple[Path, Path], call: Call) -> None:
    code, _, err = call('disagreement', files[0], files[0])
    assert code == 2
    assert 'a file was given twice' in err
