"""Which false proposals an annotation file is given, and what is left as it was."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from image_records import evaluated
from mmengine.config import Config

from mitouts.engine.proposals import ProposalSettings, proposal_settings, propose, proposed_document
from mitouts.errors import ConfigError
from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    read_coco,
    write_json,
)
from mitouts.structures import EvaluatedImage

SETTINGS = ProposalSettings(min_score=0.1, radius_px=10.0, spacing_px=8.0, max_per_image=2)


def record(image_id: int, points: Sequence[tuple], truth: Sequence[tuple] = (), **known: Any) -> EvaluatedImage:
    return evaluated(image_id, truth, points, width=100, height=80, **known)


def document(annotations: list[dict[str, Any]], count: int = 3) -> dict[str, Any]:
    images = [make_image(number + 1, f'{number}.png', 100, 80, case_id='a') for number in range(count)]
    return make_document(images, annotations, name='test', tool='tests', stain_reference='r.json')


def added(proposed: dict[str, Any]) -> list[tuple]:
    return [(each['image_id'], *each['point'], each['score']) for each in proposed['annotations'] if 'score' in each]


def test_false_proposals_become_hard_negatives_beside_what_was_annotated() -> None:
    figure = make_annotation(7, 1, MITOTIC_FIGURE, 20.0, 20.0, source_uid='x')
    look_alike = make_annotation(9, 2, HARD_NEGATIVE, 50.0, 50.0)
    source = document([figure, look_alike])
    before = copy.deepcopy(source)
    records = [
        record(1, [(25, 20, 0.9), (60, 20, 0.8), (65, 20, 0.7), (90, 70, 0.5), (10, 70, 0.05)], [(20, 20)]),
        record(2, [(55, 50, 0.9), (10, 10, 0.4), (30, 10, 0.3), (80, 10, 0.2)]),
    ]
    proposed = proposed_document(source, records, SETTINGS)
    assert source == before
    assert proposed['annotations'][:2] == [figure, look_alike]
    assert added(proposed) == [
        (1, 60.0, 20.0, 0.8),
        (1, 90.0, 70.0, 0.5),
        (2, 10.0, 10.0, 0.4),
        (2, 30.0, 10.0, 0.3),
    ]
    new = proposed['annotations'][2:]
    assert [each['id'] for each in new] == [10, 11, 12, 13]
    assert all(each['proposed'] and each['category_id'] == HARD_NEGATIVE for each in new)
    # No prediction, no image: the third was not looked at.
    assert [image['id'] for image in proposed['images']] == [1, 2]
    assert proposed['info']['mitouts']['stain_reference'] == 'r.json'


def test_nothing_is_false_near_a_figure_that_is_ignored_or_where_none_is_annotated() -> None:
    records = [
        record(1, [(25, 20, 0.9), (70, 60, 0.8)], [(20, 20)], counted=np.array([False]), cut=np.array([[75.0, 60.0]])),
        record(2, [(25, 20, 0.9)], label=1),
        record(3, [(25, 20, 0.9)], label=0),
    ]
    assert added(proposed_document(document([]), records, SETTINGS)) == [(3, 25.0, 20.0, 0.9)]


def test_a_file_without_the_category_gets_it(tmp_path) -> None:
    source = document([])
    source['categories'] = source['categories'][:1]
    proposed = proposed_document(source, [record(1, [(25, 20, 0.9)])], SETTINGS)
    write_json(tmp_path / 'train.json', proposed)
    assert [each['name'] for each in read_coco(tmp_path / 'train.json')['categories']] == [
        'mitotic figure',
        'hard negative',
    ]
    # A second localizer's proposals do not double those of the first.
    again = proposed_document(proposed, [record(1, [(26, 20, 0.8), (60, 60, 0.3)])], SETTINGS)
    assert added(again) == [(1, 25.0, 20.0, 0.9), (1, 60.0, 60.0, 0.3)]
    assert len(again['categories']) == 2


@pytest.mark.parametrize(
    ('proposals', 'message'),
    [
        ({'radius': 30}, 'proposals has radius; it may have min_score, radius_px, spacing_px, max_per_image'),
        ([30], r'proposals has \[30\]'),
        ({'radius_px': -1}, 'proposals.radius_px must be a number from 0'),
        ({'radius_px': float('inf')}, 'proposals.radius_px must be a number from 0, found inf'),
        ({'min_score': True}, 'proposals.min_score must be a number from 0, found True'),
        ({'max_per_image': 'all'}, "proposals.max_per_image must be a whole number from 0, found 'all'"),
        ({'max_per_image': 2.5}, 'proposals.max_per_image must be a whole number from 0, found 2.5'),
    ],
)
def test_settings_that_make_no_sense(proposals: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        proposal_settings(Config({'proposals': proposals}))


def test_settings_have_defaults_of_their_own() -> None:
    assert proposal_settings(Config({})) == ProposalSettings()
    assert proposal_settings(Config({'proposals': {'radius_px': 12}})).radius_px == 12


def test_all_splits_are_needed(tmp_path) -> None:
    with pytest.raises(ConfigError, match='lacks train_dataloader, test_dataloader, whose images'):
        propose(Config({'val_dataloader': {'dataset': {}}}), tmp_path / 'best.pth', tmp_path)
