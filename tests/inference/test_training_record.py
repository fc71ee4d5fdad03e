"""What checkpoints say of their training, and what they do not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mitouts.inference.training_record import describe_training, trained_on

CONFIG = {
    'experiment_name': 'lite0_max-0a1b2c3d',
    'train_dataloader': {'dataset': {'ann_file': '/home/anna/data/fields/train.json'}},
}
CALIBRATION = {'dataset': 'amibr', 'stain_reference': None, 'mpp': 0.25}
STAIN = {'method': 'macenko', 'reference': {'source': 'image 7 of MIDOG', 'macenko': {}}}


def _meta(calibration: dict[str, Any], config: Any = CONFIG) -> dict[str, Any]:
    return {'mitouts': calibration, 'cfg': config if isinstance(config, str) else json.dumps(config)}


def test_all_that_is_known_is_said() -> None:
    found = describe_training(_meta({**CALIBRATION, 'stain_reference': STAIN}))
    assert found == {
        'dataset': 'amibr',
        'ann_file': 'data/fields/train.json',
        'config': 'lite0_max',
        'stain': 'normalized by macenko to image 7 of MIDOG',
        'mpp': 0.25,
        'in_words': 'amibr (data/fields/train.json), config lite0_max; '
        'stain: normalized by macenko to image 7 of MIDOG; 0.25 um/px',
    }


@pytest.mark.parametrize('meta', [{}, _meta({}, {}), _meta({}, 'no JSON'), _meta({}, '[1]'), {'mitouts': None}])
def test_what_is_not_known_is_unknown(meta: dict[str, Any]) -> None:
    found = describe_training(meta)
    assert set(list(found.values())[:-1]) == {'unknown'}
    assert 'a data set of unknown name (unknown)' in found['in_words']


def test_of_a_reference_with_a_note_the_note_is_said() -> None:
    stain = {'method': 'macenko', 'reference': {'source': {'note': 'two good fields', 'images': ['a.png', 'b.png']}}}
    record = describe_training(_meta({**CALIBRATION, 'stain_reference': stain}))
    assert record['stain'] == 'normalized by macenko to two good fields'


def test_images_as_they_were_are_not_unknown() -> None:
    assert describe_training(_meta(CALIBRATION))['stain'] == 'images as they were'


def test_the_data_of_a_wrapped_set_is_found() -> None:
    inner = {'type': 'PointDataset', 'ann_file': 'a.json'}
    config = {'train_dataloader': {'dataset': {'type': 'Repeat', 'dataset': inner}}}
    assert describe_training(_meta(CALIBRATION, config))['ann_file'] == 'a.json'


def test_it_is_read_from_the_file(tmp_path: Path) -> None:
    torch.save({'meta': _meta(CALIBRATION), 'state_dict': {}}, tmp_path / 'a.pth')
    assert trained_on(tmp_path / 'a.pth') == describe_training(_meta(CALIBRATION))
