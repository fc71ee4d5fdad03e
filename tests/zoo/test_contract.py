"""Published models keep the contract; so does a made-up one, and what it lacks is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from untrained import make_model, save_checkpoint

from mitouts.stain import build_normalizer
from mitouts.zoo import CARD_SECTIONS, zoo_models

_SPEC = importlib.util.spec_from_file_location('zoo_contract', Path(__file__).with_name('contract.py'))
assert _SPEC is not None
assert _SPEC.loader is not None
contract = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(contract)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    model = make_model()
    normalizer = build_normalizer('macenko')
    assert normalizer is not None
    model.calibration = {
        'image_threshold': 0.5,
        'map_threshold': 0.5,
        'slide_threshold': 0.75,
        'slide_threshold_reason': 'made up',
        'mpp': 0.25,
        'dataset': 'made up',
        'classes': ['mitotic figure'],
        'stain_reference': {**normalizer.describe(), 'fit': 'image'},
        'rotations': 4,
    }
    sections = '\n'.join(f'## {name}\n\nSomething.\n' for name in CARD_SECTIONS)
    (tmp_path / 'tiny.md').write_text(f'# Tiny\n\n{sections}')
    return save_checkpoint(tmp_path / 'tiny.pth', model)


def test_all_models_of_the_package_keep_the_contract() -> None:
    assert {name: contract.shortcomings(path) for name, path in zoo_models().items()} == {
        name: [] for name in zoo_models()
    }


def test_a_whole_model_keeps_it(published: Path) -> None:
    assert contract.shortcomings(published) == []


def test_what_is_missing_is_named(published: Path) -> None:
    card = published.with_suffix('.md')
    card.write_text(card.read_text().replace('## Known failures\n\nSomething.', '## Known failures\n'))
    checkpoint = torch.load(published, weights_only=True)
    del checkpoint['meta']['mitouts']['slide_threshold'], checkpoint['meta']['mitouts']['stain_reference']
    torch.save({**checkpoint, 'optimizer': {}, 'ballast': torch.zeros(800_000)}, published)
    lacks = '; '.join(contract.shortcomings(published))
    for part in ('at most 3', 'mitouts publish', 'no slide_threshold', 'stain_reference', 'section "Known failures"'):
        assert part in lacks
    card.unlink()
    assert 'section "Figures"' in '; '.join(contract.shortcomings(published))
