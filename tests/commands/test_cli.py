"""The tools as a user calls them: what they print, and how they end on bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import tiny_config

from mitouts.engine import runs
from mitouts.formats.predictions import read_predictions
from mitouts.imaging.image import write_rgb


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('cli')
    config = tiny_config(folder, train_cfg__max_epochs=2)
    return folder, runs.train(config, folder / 'run').checkpoint


def test_train_says_where_the_best_checkpoint_is(call, tmp_path) -> None:
    tiny_config(tmp_path)
    code, out, _ = call(
        'train', tmp_path / 'tiny.py', '--work-dir', tmp_path / 'run', '--cfg-options', 'train_cfg.max_epochs=1'
    )
    assert code == 0
    assert f'best checkpoint: {tmp_path / "run" / "best.pth"}' in out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.py'], 'error: config none.py does not exist'),
        (['CONFIG', '--amp'], 'error: --amp needs a CUDA GPU'),
        (['CONFIG', '--stages', 'teacher'], 'has no stages'),
        (['CONFIG', '--launcher', 'pytorch'], 'error: --launcher pytorch must be started by torchrun'),
        (['CONFIG', '--cfg-options', 'train_cfg.max_epoch=1'], "nearest is 'train_cfg.max_epochs'"),
        (
            ['CONFIG', '--cfg-options', 'model.head.aggregator.type=MaxAgregator'],
            "'MaxAgregator' is not in the mitouts::aggregator registry (config key 'model.head.aggregator.type'). "
            "Did you mean 'MaxAggregator'",
        ),
        (
            ['CONFIG', '--cfg-options', 'default_hooks.checkpoint.type=CheckpointHok'],
            "registry (config key 'default_hooks.checkpoint.type')",
        ),
        (['CONFIG', '--cfg-options', 'train_dataloader.dataset.ann_file=none.json'], 'none.json'),
        (['CONFIG', '--cfg-options', '+train_dataloader.dataset.anfile=x'], "unexpected keyword argument 'anfile'"),
        (
            ['CONFIG', '--cfg-options', 'default_hooks.checkpoint.save_best=image/f2'],
            "save_best='image/f2' is not among the validation results",
        ),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, monkeypatch, arguments: list[str], message: str) -> None:
    monkeypatch.delenv('RANK', raising=False)
    tiny_config(tmp_path)
    arguments = [str(tmp_path / 'tiny.py') if item == 'CONFIG' else item for item in arguments]
    code, _, err = call('train', *arguments, '--work-dir', tmp_path / 'run')
    lines = [line for line in err.splitlines() if line.startswith('error:')]
    assert code == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert 'Traceback' not in err


def test_test_prints_a_table_and_writes_everything(call, trained, tmp_path) -> None:
    folder, checkpoint = trained
    code, out, _ = call(
        'test',
        folder / 'tiny.py',
        checkpoint,
        '--work-dir',
        tmp_path / 'w',
        '--out',
        tmp_path / 'p.json',
        '--show-dir',
        tmp_path / 'show',
    )
    assert code == 0
    assert 'best' in out
    row = json.loads((tmp_path / 'w' / 'results.json').read_text())['stages'][0]
    assert row['one_to_one']['tp'] + row['one_to_one']['fn'] == 4
    assert len(read_predictions(tmp_path / 'p.json').images) == 8
    assert len(list((tmp_path / 'show').glob('*.png'))) == 8


def test_predict_skips_what_it_cannot_read_and_says_so(call, trained, tmp_path) -> None:
    _, checkpoint = trained
    images = tmp_path / 'images'
    write_rgb(images / 'a.png', np.full((48, 64, 3), 220, np.uint8))
    (images / 'broken.png').write_bytes(b'not an image')
    code, out, err = call(
        'predict', images, checkpoint, '--out', tmp_path / 'p.json', '--show-dir', tmp_path / 'show', '--mpp', '0.25'
    )
    assert code == 1
    assert '1 image skipped' in out
    assert 'broken.png: expected a slide' in err
    assert [image['file_name'] for image in json.loads((tmp_path / 'p.json').read_text())['images']] == [
        str(images / 'a.png')
    ]
    assert len(list((tmp_path / 'show').iterdir())) == 1


def test_predictions_of_an_annotation_file_have_its_numbers(call, trained, tmp_path) -> None:
    folder, checkpoint = trained
    document = json.loads((folder / 'data' / 'test.json').read_text())
    number = {image['id']: 1000 - image['id'] for image in document['images']}
    for image in document['images']:
        image['id'] = number[image['id']]
    for annotation in document['annotations']:
        annotation['image_id'] = number[annotation['image_id']]
    ann_file = folder / 'data' / 'renumbered.json'
    ann_file.write_text(json.dumps(document))
    arguments = [ann_file, checkpoint, '--out', tmp_path / 'p.json']
    assert call('predict', *arguments)[0] == 0
    assert set(read_predictions(tmp_path / 'p.json').images) == set(number.values())
    code, out, _ = call('evaluate', ann_file, tmp_path / 'p.json', '--radius-px', 5)
    assert (code, json.loads(out)['images_without_predictions']) == (0, 0)
    # Those of a folder are counted through, whatever an annotation file calls its images.
    assert call('predict', folder / 'data', checkpoint, '--out', tmp_path / 'folder.json')[0] == 0
    code, _, err = call('evaluate', folder / 'data' / 'train.json', tmp_path / 'folder.json', '--radius-px', 5)
    assert (code, 'predict the images of that very file' in err) == (2, True)


@pytest.mark.parametrize('words', [['test', 'MODEL'], ['browse'], ['distill', 'MODEL']])
def test_a_staged_config_says_which_config_to_take(call, trained, words: list[str]) -> None:
    name, *rest = [str(trained[1]) if word == 'MODEL' else word for word in words]
    code, _, err = call(name, 'uts/uts_lite0', *rest, '--data', 'phantom')
    assert code == 2
    assert 'take that of a stage: wss/lite0_max_strong (teacher), ' in err


def test_a_missing_data_set_says_how_one_is_made(call, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call('train', 'wss/lite0_max_strong', '--data', 'phantom', '--work-dir', 'run')
    assert code == 2
    assert 'error: data/phantom/train.json: no such file, though the config names it' in err


def test_predict_without_images(call, trained, tmp_path) -> None:
    (tmp_path / 'empty').mkdir()
    code, _, err = call('predict', tmp_path / 'empty', trained[1], '--out', tmp_path / 'p.json')
    assert (code, 'error: no image' in err) == (2, True)


def test_publish_names_the_file_by_its_hash(call, trained, tmp_path) -> None:
    import hashlib

    code, _, _ = call('publish', trained[0] / 'run' / 'epoch_2.pth', tmp_path / 'm.pth')
    (published,) = tmp_path.glob('m-*.pth')
    assert code == 0
    assert published.stem == 'm-' + hashlib.sha256(published.read_bytes()).hexdigest()[:8]


def test_distill_tool_prints_counts(call, trained, tmp_path) -> None:
    folder, checkpoint = trained
    code, out, _ = call('distill', folder / 'tiny.py', checkpoint, '--out-dir', tmp_path / 'd')
    assert code == 0
    assert 'kept: ' in out
    assert 'noise_total: 2' in out


def test_distill_tool_judges_without_a_teacher_where_none_is_needed(call, tmp_path, monkeypatch) -> None:
    tiny_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    criterion = "distillation.criterion=dict(type='OracleNoise')"
    code, out, _ = call('distill', 'tiny.py', '--cfg-options', criterion)
    assert code == 0
    assert 'kept: 14, dropped: 2, noise_dropped: 2' in out
    assert 'clean set: work_dirs/tiny/distillation/distilled.json' in out
    assert (tmp_path / 'work_dirs' / 'tiny' / 'distillation' / 'hard_samples.json').is_file()


def test_distill_tool_judges_validation_images_beside_the_others(call, trained) -> None:
    folder, checkpoint = trained
    code, out, _ = call('distill', folder / 'tiny.py', '--split', 'val', checkpoint)
    assert code == 0
    path = checkpoint.parent / 'distillation_val' / 'hard_samples.json'
    assert f'hard samples: {path}' in out
    assert len(json.loads(path.read_text())['images']) == 8


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'CentroidDisagreement judges by predictions: give the checkpoint of a Teacher'),
        (['--cfg-options', "distillation.criterion={'type':'RandomDrop'}"], 'does not know how many positives to drop'),
        (['--cfg-options', "distillation.criterion={'type':'RandomDrop','n':1}"], "unexpected keyword argument 'n'"),
        (
            ['--split', 'val', '--cfg-options', "distillation.criterion={'type':'OracleNoise'}"],
            'OracleNoise needs images[].is_noise',
        ),
        (['none.pth'], 'none.pth'),
        (['--cfg-options', 'distillation.criterion.type=Drop'], "'Drop' is not in the mitouts::criterion registry"),
    ],
)
def test_distill_tool_ends_with_one_line(arguments: list[str], message: str, call, tmp_path) -> None:
    tiny_config(tmp_path)
    code, _, err = call('distill', tmp_path / 'tiny.py', *arguments, '--out-dir', tmp_path / 'd')
    lines = [line for line in err.splitlines() if line.startswith('error:')]
    assert (code, len(lines), 'Traceback' in err) == (2, 1, False), err
    assert message in lines[0]
    assert not (tmp_path / 'd' / 'distilled.json').exists()


def test_collect_env(call) -> None:
    code, out, _ = call('env')
    assert code == 0
    assert 'torch: ' in out


def test_results_are_written_between_their_markers(call, tmp_path) -> None:
    page = tmp_path / 'README.md'
    page.write_text('before\n<!-- results: run -->\nold\n<!-- end -->\nafter\n')
    protocol = dict(tp=3, fp=1, fn=1, precision=0.75, recall=0.75, f1=0.75, f1_ci95=[0.5, 0.9])
    row = dict(stage='teacher', images=4, minutes=1.0, image=dict(auc=0.9, f1=0.8), one_to_one=protocol)
    started = dict(seed=7, environment=dict(gpu='none', threads='2', mitouts='0', git='abc', torch='2'))
    (tmp_path / 'run' / 'teacher').mkdir(parents=True)
    (tmp_path / 'run' / 'results.json').write_text(json.dumps({'stages': [row]}))
    (tmp_path / 'run' / 'teacher' / 'started.json').write_text(json.dumps(started))
    code, _, _ = call('update-results', page, '--run', tmp_path / 'run')
    text = page.read_text()
    assert code == 0
    assert text.startswith('before\n<!-- results: run -->\n')
    assert text.endswith('<!-- end -->\nafter\n')
    assert '0.750' in text
    assert 'seed 7' in text
    assert 'old' not in text
    code, _, err = call('update-results', tmp_path / 'run' / 'results.json', '--run', tmp_path / 'run')
    assert (code, 'expected the markers' in err) == (2, True)


def test_predict_writes_what_qupath_opens(call, trained, tmp_path) -> None:
    folder, checkpoint = trained
    arguments = ['predict', folder / 'data', checkpoint, '--out', tmp_path / 'p.json', '--qupath', tmp_path / 'q']
    code, out, _ = call(*arguments)
    assert code == 0
    predictions = json.loads((tmp_path / 'p.json').read_text())
    threshold = predictions['info']['map_threshold']
    assert len(list((tmp_path / 'q').iterdir())) == len(predictions['images']) == 32
    for image in predictions['images']:
        content = json.loads((tmp_path / 'q' / f'{Path(image["file_name"]).name}.geojson').read_text())
        # QuPath counts from the corner of the first pixel.
        expected = [[x + 0.5, y + 0.5] for x, y, score in image['points'] if score > threshold]
        drawn = [feature['geometry']['coordinates'] for feature in content['features']]
        np.testing.assert_allclose(np.reshape(drawn, (-1, 2)), np.reshape(expected, (-1, 2)), atol=1e-3)
    call(
        'dataset_converters/qupath_geojson.py',
        tmp_path / 'q',
        '--image-root',
        folder / 'data',
        '--out',
        tmp_path / 'a.json',
    )
    converted = json.loads((tmp_path / 'a.json').read_text())
    assert len(converted['annotations']) == int(out.split('mitotic figure')[0].splitlines()[-1])
    code, _, err = call(*arguments)
    assert (code, 'perhaps corrected: name another, or add --overwrite' in err) == (2, True)
    assert call(*arguments, '--overwrite')[0] == 0
