"""mitouts calibrate as a user calls it, and --adapt-bn of the other tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from counted_slides import is_clean
from known_slides import write_counted
from stained_patches import draw_patch
from tiny_experiment import tiny_config, write_split
from untrained import make_model, save_checkpoint

from mitouts.calibration.adaptation import adapt_batch_norm
from mitouts.calibration.drawing import draw_images
from mitouts.checkpoint import read_checkpoint, write_checkpoint
from mitouts.engine import runs
from mitouts.formats.coco import read_json, write_json
from mitouts.imaging.image import read_rgb, write_rgb
from mitouts.inference import Localizer
from mitouts.registry import MODELS
from mitouts.stain import build_normalizer
from mitouts.utils.files import file_sha256

OLD = {'image_threshold': 0.01, 'map_threshold': 0.02, 'drift_px': [0.0, 0.0], 'mpp': 0.25}


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    model = make_model()
    model.calibration = {**OLD, 'classes': ['mitotic figure']}
    return save_checkpoint(tmp_path / 'best.pth', model)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    write_split(tmp_path, 'new', 12, 0)
    return tmp_path / 'new.json'


def refused(call, *arguments: object) -> str:
    code, out, err = call('calibrate', *arguments)
    assert code == 2
    assert out == ''
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    return err


def test_a_copy_with_new_thresholds_is_written(call, tmp_path, model_file, labelled) -> None:
    before = file_sha256(model_file)
    out = tmp_path / 'new.pth'
    code, text, err = call(
        'calibrate', model_file, '--ann-file', labelled, '--num', 8, '--seed', 3, '--radius-px', 12, '--out', out
    )
    assert code == 0
    assert is_clean(err)
    assert file_sha256(model_file) == before
    new, old = torch.load(out, weights_only=True), read_checkpoint(model_file)
    assert all(torch.equal(new['state_dict'][key], value) for key, value in old['state_dict'].items())
    record = new['meta']['mitouts']['calibrated']
    assert new['meta']['mitouts']['map_threshold'] != OLD['map_threshold']
    assert record['sha256'] == file_sha256(labelled)
    assert record['checkpoint_sha256'] == before
    assert (record['num'], record['images'], record['of_images'], record['seed']) == (8, 8, 12, 3)
    assert record['old'] == {key: OLD[key] for key in ('image_threshold', 'map_threshold', 'drift_px')}
    assert '8 images that the thresholds were chosen on' in text
    assert '3 labelled images of other cases' in text
    assert 'positive images: expect thresholds that would be quite different' in ' '.join(text.split())
    assert Localizer.from_checkpoint(out).model.calibration['map_threshold'] == new['meta']['mitouts']['map_threshold']


def test_thresholds_are_chosen_for_maps_that_are_averaged_over_rotations(call, tmp_path, model_file, labelled) -> None:
    out = tmp_path / 'four.pth'
    code, text, err = call('calibrate', model_file, '--ann-file', labelled, '--rotations', 4, '--out', out)
    assert (code, is_clean(err), '4 rotations' in text) == (0, True, True), err
    calibration = read_checkpoint(out)['meta']['mitouts']
    assert calibration['rotations'] == calibration['calibrated']['rotations'] == 4
    assert 'threshold_rotations' not in calibration
    localizer = Localizer.from_checkpoint(out)
    assert (localizer.rotations, localizer.threshold_doubt) == (4, None)
    assert 'chosen with 4 rotations' in Localizer.from_checkpoint(out, rotations=1).threshold_doubt


def test_adapted_statistics_are_those_of_the_images_used_and_the_rest_is_as_it_was(
    call, tmp_path, model_file, labelled
) -> None:
    out = tmp_path / 'new.pth'
    code, text, _ = call(
        'calibrate', model_file, '--ann-file', labelled, '--num', 8, '--adapt-bn', 2, '--objective', 'localization',
        '--out', out,
    )  # fmt: skip
    assert code == 0
    assert 'batch norm adapted' in text
    new, old = torch.load(out, weights_only=True), read_checkpoint(model_file)['state_dict']
    assert new['meta']['mitouts']['calibrated']['adapt_bn']['images'] == 8
    model = make_model()
    cases = [image['case_id'] for image in read_json(labelled)['images']]
    images = [torch.from_numpy(read_image(labelled, k)) for k in draw_images(cases, 8, 0)[0]]
    adapt_batch_norm(model, [images], prior=2)
    for key, value in model.state_dict().items():
        if key.endswith(('running_mean', 'running_var')):
            torch.testing.assert_close(new['state_dict'][key], value, rtol=1e-3, atol=1e-4)
        else:
            assert torch.equal(new['state_dict'][key], old[key]), key


def read_image(ann_file: Path, number: int) -> np.ndarray:
    return read_rgb(ann_file.parent / read_json(ann_file)['images'][number]['file_name']).transpose(2, 0, 1).copy()


def test_nothing_but_an_earlier_result_is_written_over(call, tmp_path, model_file, labelled) -> None:
    assert 'never written over' in refused(call, model_file, '--ann-file', labelled, '--out', model_file)
    linked = tmp_path / 'linked.pth'
    linked.hardlink_to(model_file)
    assert 'never written over' in refused(call, model_file, '--ann-file', labelled, '--out', linked)
    other = save_checkpoint(tmp_path / 'other.pth', Localizer.from_checkpoint(model_file).model)
    assert 'not written by this tool' in refused(call, model_file, '--ann-file', labelled, '--out', other)
    arguments = (model_file, '--ann-file', labelled, '--num-bootstrap', 0, '--out', tmp_path / 'new.pth')
    assert [call('calibrate', *arguments)[0] for _ in range(2)] == [0, 0]


def test_bad_input_is_one_line(call, tmp_path, model_file, labelled) -> None:
    out = ('--out', tmp_path / 'new.pth')
    assert 'there are only 12' in refused(call, model_file, '--ann-file', labelled, '--num', 13, *out)
    assert 'does not exist' in refused(call, tmp_path / 'none.pth', '--ann-file', labelled, *out)
    assert 'fixed takes' in refused(call, model_file, '--ann-file', labelled, '--selector', 'fixed', *out)
    document = read_json(labelled)
    for image in document['images']:
        image['mpp'] = 0.5
    write_json(tmp_path / 'coarse.json', document)
    assert 'images of 0.5 um/px' in refused(call, model_file, '--ann-file', tmp_path / 'coarse.json', *out)
    document = read_json(labelled)
    document['categories'][0]['name'] = 'cell'
    write_json(tmp_path / 'cells.json', document)
    assert '--category' in refused(call, model_file, '--ann-file', tmp_path / 'cells.json', *out)
    assert not (tmp_path / 'new.pth').exists()


def test_other_colours_than_the_models_are_refused(call, tmp_path, labelled) -> None:
    model = make_model()
    model.calibration = {**OLD, 'classes': ['mitotic figure'], 'stain_reference': None}
    checkpoint = save_checkpoint(tmp_path / 'scanned.pth', model)
    document = read_json(labelled)
    document['info']['mitouts']['stain_reference'] = {**build_normalizer('macenko').describe(), 'fit': 'image'}
    write_json(labelled, document)
    message = refused(call, checkpoint, '--ann-file', labelled, '--out', tmp_path / 'new.pth')
    assert 'normalized by macenko' in message
    assert 'trained on were as they were scanned' in message
    assert 'without --stain' in message


def test_a_model_of_images_as_they_are_can_be_given_the_colours_of_its_training(
    call, tmp_path, model_file, labelled
) -> None:
    document = read_json(labelled)
    for number, image in enumerate(document['images']):
        write_rgb(labelled.parent / image['file_name'], draw_patch(48, seed=number)[:48, :48])
    write_json(labelled, document)
    write_rgb(tmp_path / 'reference.png', draw_patch(200, seed=99))
    stain = ('--stain', 'macenko', '--stain-reference', tmp_path / 'reference.png')
    arguments = ('--ann-file', labelled, *stain, '--num-bootstrap', 0)
    code, text, _ = call('calibrate', model_file, *arguments, '--out', tmp_path / 'new.pth')
    assert code == 0
    assert 'images are normalized by macenko to reference.png as they are read' in ' '.join(text.split())
    kept = torch.load(tmp_path / 'new.pth', weights_only=True)['meta']['mitouts']['stain_reference']
    assert kept == {**build_normalizer('macenko', tmp_path / 'reference.png').describe(), 'fit': 'image'}
    again = refused(call, tmp_path / 'new.pth', *arguments, '--out', tmp_path / 'other.pth')
    assert 'leave out --stain' in again


def test_thresholds_on_counted_slides(call, tmp_path, model_file) -> None:
    counts = tmp_path / 'counts'
    for name in ('a.tif', 'b.tif', 'c.tif'):
        points = [(50, 50, 0.9), (300, 300, 0.8), (400, 50, 0.3)]
        write_counted(counts, name, points, checkpoint_sha256=file_sha256(model_file), map_threshold=0.02)
    (tmp_path / 'known.csv').write_text('slide,mitoses\na.tif,2\nb.tif,2\nc.tif,3\n')
    arguments = ('--counts', counts, '--reference', tmp_path / 'known.csv', '--column', 'mitoses')
    code, text, _ = call('calibrate', model_file, *arguments, '--out', tmp_path / 'new.pth')
    assert code == 0
    meta = torch.load(tmp_path / 'new.pth', weights_only=True)['meta']['mitouts']
    assert 0.3 < meta['slide_threshold'] < 0.8
    assert meta['slide_threshold_reason'] == 'least error of the count on 3 slides of known.csv'
    assert meta['map_threshold'] == OLD['map_threshold']
    assert meta['image_threshold'] == OLD['image_threshold']
    assert meta['calibrated']['slides'] == ['a.tif', 'b.tif', 'c.tif']
    assert meta['calibrated']['errors']['old']['mean_absolute_error'] == pytest.approx(2 / 3)
    assert meta['calibrated']['errors']['new']['mean_absolute_error'] == pytest.approx(1 / 3)
    assert 'only 3 slides:' in text


def test_slides_go_with_their_reference_alone(call, tmp_path, model_file) -> None:
    for arguments in (('--counts', tmp_path), ('--counts', tmp_path, '--reference', 'a.csv', '--adapt-bn')):
        code, _, err = call('calibrate', model_file, *arguments, '--out', tmp_path / 'new.pth')
        assert code == 2
        assert 'error: --' in err


@pytest.fixture
def tested(tmp_path: Path):
    config = tiny_config(tmp_path)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    checkpoint = tmp_path / 'tiny.pth'
    meta = {'cfg': json.dumps(config._cfg_dict.to_dict(), default=str), 'mitouts': OLD}
    write_checkpoint(checkpoint, {'meta': meta, 'state_dict': model.state_dict()})
    return config, checkpoint, tmp_path


def test_a_test_adapts_to_its_images_first_and_says_so(tested) -> None:
    config, checkpoint, folder = tested
    plain = runs.evaluate(config, checkpoint, folder / 'plain')
    adapted = runs.evaluate(config, checkpoint, folder / 'adapted', adapt_bn=0, out=folder / 'adapted.json')
    assert 'adapt_bn' not in plain.results
    assert adapted.results['adapt_bn']['images'] == 8
    assert read_json(folder / 'adapted.json')['info']['adapt_bn']['prior'] == 0
    localizer = Localizer.from_checkpoint(checkpoint)
    names = [record.truth.path for record in adapted.records]
    images = [read_rgb(name) for name in names]
    before = [localizer.predict(image).score for image in images]
    batch = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]
    adapt_batch_norm(localizer.model, [batch], prior=0)
    after = [localizer.predict(image).score for image in images]
    np.testing.assert_allclose([record.prediction.score for record in plain.records], before, atol=1e-5)
    np.testing.assert_allclose([record.prediction.score for record in adapted.records], after, atol=1e-4)
    assert np.abs(np.subtract(before, after)).max() > 1e-3


def test_predict_adapts_to_the_images_given(call, tested) -> None:
    _, checkpoint, folder = tested
    images, out = folder / 'data' / 'test_00.png', folder / 'p.json'
    code, _, _ = call('predict', images, checkpoint, '--mpp', 0.25, '--out', out, '--adapt-bn')
    assert code == 0
    assert read_json(out)['info']['adapt_bn'] == {'prior': 256.0, 'images': 1, 'layers': 6, 'passes': 1}
    code, _, err = call('predict', images, checkpoint, '--out', out, '--adapt-bn', -1)
    assert code == 2
    assert 'must be a number from 0' in err
