"""Annotation files as this project's tools write them."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from mitouts.formats.coco import make_annotation, make_document, make_image, write_json
from mitouts.imaging.image import write_rgb

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def _run(tool: str, *arguments: object) -> None:
    path = TOOLS / tool
    with mock.patch.object(sys, 'argv', [path.name, *map(str, arguments)]), pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name='__main__')
    assert ended.value.code == 0


def _phantom(folder: Path) -> Path:
    sizes = ('--num-train', 8, '--num-val', 1, '--num-test', 1, '--size-px', 96, '--workers', 1)
    _run('dataset_converters/phantom.py', '--out', folder, '--hard-negatives', *sizes)
    return folder / 'train.json'


def _amibr_fields(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    rows = [',slide,dataset,uid,x,y,majority_atypical']
    for slide in (1, 2, 51, 101, 41, 91, 46, 146):
        for number in range(3):
            uid, atypical = len(rows), number == 2
            rows.append(f'{uid},{slide:03d}.tiff,MIDOG21,{uid},{1000 + 500 * number},700,{atypical}')
            path = folder / 'source' / 'patches' / ('atypical' if atypical else 'normal') / f'MIDOG21_{uid}.png'
            write_rgb(path, generator.integers(1, 256, (128, 128, 3), dtype=np.uint8))
    (folder / 'source' / 'AMI-BR.csv').write_text('\n'.join(rows) + '\n')
    sizes = ('--grid', 2, '--num-train', 8, '--num-val', 2, '--num-test', 2)
    _run('dataset_converters/amibr_fields.py', folder / 'source', '--out', folder, '--noise', 0.3, *sizes)
    return folder / 'train.json'


def _midog(folder: Path) -> Path:
    images = [{'id': number, 'file_name': f'{number:03d}.tiff', 'width': 300, 'height': 200} for number in (1, 6, 151)]
    boxes = [(1, 1, [100, 100, 150, 150]), (6, 1, [-20, 0, 30, 50]), (6, 2, [270, 160, 320, 210])]
    annotations = [
        {'id': number, 'image_id': image_id, 'category_id': category, 'bbox': box}
        for number, (image_id, category, box) in enumerate(boxes)
    ]
    categories = [{'id': 1, 'name': 'mitotic figure'}, {'id': 2, 'name': 'hard negative look-alike'}]
    description = 'MItosis Domain Generalization Challenge (MIDOG) 2021 - Training set'
    source = {'info': {'description': description}, 'images': images, 'annotations': annotations}
    (folder / 'MIDOG.json').write_text(json.dumps({**source, 'categories': categories}))
    _run('dataset_converters/midog.py', folder / 'MIDOG.json', '--out', folder / 'midog21.json')
    return folder / 'midog21.json'


def _tupac16(folder: Path) -> Path:
    for name, text in {'01/01.csv': '1,2\n1990,3\n', '30/01.csv': '7,8\n', '31/01.csv': ''}.items():
        (folder / 'labels' / name).parent.mkdir(parents=True)
        (folder / 'labels' / name).write_text(text)
    _run('dataset_converters/tupac16.py', folder / 'labels', '--out', folder / 'tupac16.json')
    return folder / 'tupac16.json'


def _patches(folder: Path) -> Path:
    """Overlapping patches: figures in two of them, and figures that a border cuts."""
    write_rgb(folder / 'source.png', np.random.default_rng(0).integers(100, 200, (120, 250, 3), dtype=np.uint8))
    annotations = [make_annotation(n, 1, 1, x, y) for n, (x, y) in enumerate([(50, 60), (205, 99.5), (101, 40)], 1)]
    image = make_image(1, 'source.png', 250, 120, case_id='A', mpp=0.25)
    document = make_document([image], annotations, name='source', tool='tests', image_root='.')
    write_json(folder / 'source.json', document)
    options = ('--patch-px', 100, '--stride-px', 100, '--workers', 1)
    _run('prepare_patches.py', folder / 'source.json', '--out', folder / 'patches', *options)
    return folder / 'patches' / 'all.json'


_WRITERS = {
    'phantom': _phantom,
    'amibr_fields': _amibr_fields,
    'midog': _midog,
    'tupac16': _tupac16,
    'patches': _patches,
}
NAMES = tuple(_WRITERS)


def write_annotations(name: str, folder: Path) -> Path:
    """Make a data set of a few images by the tool that makes it.

    Args:
        name: One of :data:`NAMES`.
        folder: An empty folder.

    Returns:
        The annotation file of the training images; ``file_name`` in it is relative to its folder.
    """
    return _WRITERS[name](folder)
