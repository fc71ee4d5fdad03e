"""Stages of what is no set of fields with points: tissue models, and crops that have labels alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from calling import Call, call
from tiny_experiment import write_tiny
from tissue_experiment import write_tissue

from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb

__all__ = ['call']

SPLITS = ('train', 'val', 'test')
CROP_PX = 32
STAGES = """
stages = [
    dict(name='model', kind='train', config='CONFIG', options=['train_cfg.max_epochs=2', *OPTIONS]),
    dict(name='tested', kind='test', config='CONFIG', model_from='model', options=OPTIONS),
]
"""


def write_stages(config: Path, *options: str) -> Path:
    path = config.with_name('staged.py')
    path.write_text(STAGES.replace('CONFIG', config.name).replace('OPTIONS', repr(list(options))))
    return path


@pytest.fixture
def staged_tissue(tmp_path: Path) -> Path:
    return write_stages(write_tissue(tmp_path))


@pytest.fixture
def staged_crops(tmp_path: Path) -> Path:
    """Crops as AMi-Br has them: all splits in one file, a figure in the middle of each, and a label that says which."""
    data, generator = tmp_path / 'ann.json', np.random.default_rng(0)
    images, annotations = [], []
    for number in range(24):
        split, label = SPLITS[number % 3], number // 3 % 2
        pixels = generator.integers(200, 230, (CROP_PX, CROP_PX, 3), dtype=np.uint8)
        pixels[12:20, 12:20] = (150, 90, 150) if label == 0 else (60, 20, 80)
        write_rgb(tmp_path / f'{number}.png', pixels)
        case = f'{split}_{number % 4}'
        images.append(
            make_image(number, f'{number}.png', CROP_PX, CROP_PX, case_id=case, mpp=0.25, label=label, split=split)
        )
        annotations.append(make_annotation(number, number, 1, 15.5, 15.5))
    write_json(data, make_document(images, annotations, name='crops', tool='tests'))
    options = [f'{split}_dataloader.dataset.ann_file={data}' for split in SPLITS]
    options += [f'{split}_dataloader.dataset.split={split}' for split in SPLITS]
    options += [f"{split}_evaluator.metrics=[dict(type='ImageMetric')]" for split in SPLITS[1:]]
    return write_stages(write_tiny(tmp_path), *options)


def test_a_tissue_model_is_trained_and_tested_in_stages(staged_tissue: Path, call: Call) -> None:
    run = staged_tissue.parent / 'run'
    code, out, err = call('train', staged_tissue, '--work-dir', run)
    assert code == 0, err
    results = json.loads((run / 'results.json').read_text())
    assert results['stages'] == []
    trained, tested = results['models']['model'], results['models']['tested']
    assert (trained['images'], trained['test_images'], tested['test_images']) == (16, 3, 3)
    assert trained['dice'] == tested['dice']
    assert 'positive_categories' not in trained
    assert f'{trained["dice"]["tumour"]:.3f}' in out
    assert 'AUC' not in out
    assert not (run / 'summary.png').exists()


def test_finished_tissue_stages_are_skipped_until_something_changes(staged_tissue: Path, call: Call) -> None:
    arguments = ['train', staged_tissue, '--work-dir', staged_tissue.parent / 'run', '--resume']
    assert call(*arguments)[1].count('begins') == 2
    code, out, _ = call(*arguments, '--cfg-options', 'tested.test_evaluator.metrics.0.seed=7')
    assert (code, out.count('skipped'), out.count('begins')) == (0, 1, 1)


def test_a_tissue_model_is_no_teacher(staged_tissue: Path, call: Call) -> None:
    more = "stages.append(dict(name='clean', kind='distill', config='tissue.py', model_from='model'))"
    staged_tissue.write_text(f'{staged_tissue.read_text()}{more}\n')
    code, _, err = call('train', staged_tissue, '--work-dir', staged_tissue.parent / 'run')
    assert code == 2
    assert 'model_from must name the training of a localizer, which model is not' in err


def test_crops_with_labels_alone_are_trained_and_tested_in_stages(staged_crops: Path, call: Call) -> None:
    run = staged_crops.parent / 'run'
    code, _, err = call('train', staged_crops, '--work-dir', run)
    assert code == 0, err
    rows = json.loads((run / 'results.json').read_text())['stages']
    assert [(row['stage'], row['test_images']) for row in rows] == [('model', 8), ('tested', 8)]
    assert rows[0]['image'] == rows[1]['image']
    assert (run / 'summary.png').is_file()
