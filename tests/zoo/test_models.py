"""Checkpoints by name: what the zoo has, and what it says of a name that it has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from untrained import make_model, save_checkpoint

from mitouts.errors import CheckpointError
from mitouts.inference import Localizer
from mitouts.zoo import card_of, models, resolve_checkpoint, zoo_models


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one model with a card."""
    monkeypatch.setattr(models, 'FOLDER', tmp_path / 'zoo')
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.25, 'mpp': 0.25}
    (tmp_path / 'zoo').mkdir()
    (tmp_path / 'zoo' / 'tiny.md').write_text('# Tiny\n')
    return save_checkpoint(tmp_path / 'zoo' / 'tiny.pth', model)


def test_a_name_stands_for_its_file(zoo: Path) -> None:
    assert zoo_models() == {'tiny': zoo}
    assert resolve_checkpoint('tiny') == zoo
    assert card_of('tiny') == '# Tiny\n'
    assert card_of('other') is None
    assert Localizer.from_checkpoint('tiny').model.calibration['map_threshold'] == 0.25


@pytest.mark.usefixtures('zoo')
def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('tiny').write_bytes(b'')
    for path in ('tiny', 'best.pth', 'some/where', '/tmp/model'):
        assert resolve_checkpoint(path) == Path(path)


@pytest.mark.usefixtures('zoo')
def test_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(CheckpointError, match=r'checkpoint tini: neither a file nor a model .* did you mean tiny'):
        resolve_checkpoint('tini')
    with pytest.raises(CheckpointError, match=r'the zoo has tiny \(mitouts models lists them\)'):
        resolve_checkpoint('xxxxxx')


def test_every_model_of_the_package_has_a_card() -> None:
    assert [name for name in zoo_models() if not card_of(name)] == []
