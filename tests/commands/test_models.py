"""mitouts models, and checkpoints by name in commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import Call
from untrained import smooth_tissue, write_slide

from mitouts.formats.coco import read_json
from mitouts.imaging.image import write_rgb
from mitouts.zoo import models


@pytest.fixture
def zoo(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one model with a card."""
    monkeypatch.setattr(models, 'FOLDER', tmp_path)
    (tmp_path / 'tiny.pth').write_bytes(checkpoint.read_bytes())
    (tmp_path / 'tiny.md').write_text('# Tiny, for tests\n')
    return tmp_path / 'tiny.pth'


def test_an_empty_zoo_says_how_to_use_a_model_of_ones_own(call: Call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(models, 'FOLDER', tmp_path)
    code, out, err = call('models')
    assert (code, err) == (0, '')
    assert out.startswith('The zoo has no model yet. A checkpoint of your own is used by its path: mitouts predict')


@pytest.mark.usefixtures('zoo')
def test_models_are_listed_with_what_they_say(call: Call) -> None:
    code, out, _ = call('models')
    assert code == 0
    assert out.startswith('tiny\n')
    assert 'resolution  2 um/px' in out
    assert 'thresholds  image 0.500, map 0.500' in out
    code, out, _ = call('models', 'tiny')
    assert (code, out.endswith('\n\n# Tiny, for tests\n')) == (0, True)


def test_any_checkpoint_is_described(call: Call, checkpoint: Path) -> None:
    code, out, _ = call('models', checkpoint)
    assert (code, 'trained on  unknown' in out, '# Tiny' in out) == (0, True, False)


def test_a_name_that_nobody_has_is_one_line(call: Call) -> None:
    code, out, err = call('models', 'nobody')
    assert (code, out) == (2, '')
    assert 'argument checkpoint: checkpoint nobody: neither a file nor a model of the zoo' in err.splitlines()[-1]


def test_predict_takes_the_model_in_three_ways(call: Call, zoo: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / 'a.png', smooth_tissue(160, 160))
    for words in (['--checkpoint', 'tiny'], ['--checkpoint', zoo], [zoo]):
        code, out, err = call('predict', tmp_path / 'a.png', *words, '--mpp', 2, '--out', tmp_path / 'p.json')
        assert (code, 'in 1 image' in out) == (0, True), err
    code, _, err = call('predict', zoo, '--out', tmp_path / 'p.json')
    assert (code, 'expected IMAGES beside the model' in err) == (2, True)


def test_the_starter_is_taken_where_no_model_is_given_and_named_first(call: Call, zoo: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / 'a.png', smooth_tissue(160, 160))
    write_slide(tmp_path / 'b.tif', smooth_tissue(160, 160))
    predict = ['predict', tmp_path / 'a.png', '--mpp', 2, '--out', tmp_path / 'p.json']
    count = ['count', tmp_path / 'b.tif', '--mpp', 2, '--out', tmp_path / 'counts']
    for words in (predict, count):
        code, out, err = call(*words)
        assert (code, out) == (2, '')
        assert 'error: no model was given, and this installation has no starter model' in err
    (tmp_path / 'starter.pth').write_bytes(zoo.read_bytes())
    for words in (predict, count):
        code, _, err = call(*words)
        assert code == 0, err
        assert err.startswith('starter was trained on a data set of unknown name')
        assert err.splitlines()[0].endswith('For research use only.')


def test_thresholds_for_another_number_of_rotations_are_doubted(call: Call, zoo: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / 'a.png', smooth_tissue(160, 160))
    write_slide(tmp_path / 'b.tif', smooth_tissue(160, 160))
    doubt = 'the thresholds were chosen with 1 rotation and are used with 4'
    for words in (['predict', tmp_path / 'a.png', '--out', tmp_path / 'p.json'],
                  ['count', tmp_path / 'b.tif', '--out', tmp_path / 'counts']):  # fmt: skip
        code, _, err = call(*words, '--checkpoint', zoo, '--mpp', 2, '--rotations', 4)
        assert (code, f'warning: {doubt}' in err) == (0, True), err
    report = read_json(tmp_path / 'counts' / 'b' / 'report.json')
    assert report['provenance']['rotations'] == 4
    assert any(doubt in remark for remark in report['remarks'])
    assert read_json(tmp_path / 'p.json')['info']['rotations'] == 4


@pytest.mark.parametrize(
    ('words', 'said'),
    [([], 'no model was given'), (['tiny', '--checkpoint', 'tiny'], 'two models are given')],
)
@pytest.mark.usefixtures('zoo')
def test_count_takes_one_model(call: Call, words: list[str], said: str) -> None:
    code, _, err = call('count', 'slide.tif', *words)
    assert (code, said in err) == (2, True)
    code, _, err = call('count', 'slide.tif', '--out', 'out', 'tiny')
    assert (code, 'slide.tif' in err) == (2, True)
