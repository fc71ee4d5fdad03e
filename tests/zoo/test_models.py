"""Checkpoints by name: what the zoo has, and what it says of a name that it has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from untrained import make_model, save_checkpoint

from mitouts.errors import CheckpointError
from mitouts.inference import Localizer
from mitouts.zoo import card_of, models, name_of, pretrained, resolve_checkpoint, starter, zoo_models


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


def test_the_starter_is_the_default_and_its_absence_is_explained(zoo: Path) -> None:
    with pytest.raises(CheckpointError, match=r'no model was given, .* no starter model .*zoo has tiny.* --checkpoint'):
        starter()
    with pytest.raises(CheckpointError, match=r'starter is no model of the zoo; the zoo has tiny'):
        Localizer.from_pretrained()
    zoo.rename(zoo.with_name('starter.pth'))
    assert starter() == pretrained('starter') == zoo.with_name('starter.pth')
    assert (name_of(starter()), name_of('work_dirs/best.pth')) == ('starter', 'best.pth')
    assert Localizer.from_pretrained().rotations == 1
    assert Localizer.from_pretrained('starter', rotations=4).rotations == 4


def test_every_model_of_the_package_has_a_card() -> None:
    assert [name for name in zoo_models() if not card_of(name)] == []
