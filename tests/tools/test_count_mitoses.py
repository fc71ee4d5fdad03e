"""Counting on whole slides from the command line: good slides, bad ones, and processes that die."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from scipy.stats import chi2
from tissue_experiment import CONFIG as TISSUE_CONFIG
from untrained import make_model, save_checkpoint, smooth_tissue, spread_scores, write_slide

from mitouts.inference.dense import DenseModel
from mitouts.inference.slide_report import FILES
from mitouts.registry import MODELS

Call = Callable[..., tuple[int, str, str]]

TOOL = 'wsi/count_mitoses.py'
TOOL_PATH = Path(__file__).resolve().parents[2] / 'tools' / TOOL
MPP = 2.0
TILE_PX = 128
"""A counted tile of 256 um at 2 um/px, so that small slides have enough area."""
RESOLUTION = {'resolution': (10_000 / MPP, 10_000 / MPP), 'resolutionunit': 3}
TILED = {**RESOLUTION, 'tile': (128, 128), 'compression': 'zlib'}
WIDTH, HEIGHT = 760, 650


def tissue_slide(path: Path, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Tissue all over, of 2 mm2 by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_slide(path, smooth_tissue(width, height, seed), **TILED)


def outline(path: Path, *corners: tuple[float, float]) -> Path:
    ring = [list(corner) for corner in (*corners, *corners[:1])]
    geometry = {'type': 'Polygon', 'coordinates': [ring]}
    features = [{'type': 'Feature', 'geometry': geometry, 'properties': {}}] if corners else []
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    return path


def rectangle(path: Path, left: float, top: float, right: float, bottom: float) -> Path:
    return outline(path, (left, top), (right, top), (right, bottom), (left, bottom))


def read_csv(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if not line.startswith('#')]
    return list(csv.DictReader(lines))


def read_report(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / 'report.json').read_text())
    assert isinstance(report, dict)
    return report


def lasting(folder: Path) -> dict[str, Any]:
    """A slide's report without what differs between runs."""
    report = read_report(folder)
    del report['run']
    return report


def written(folder: Path) -> dict[str, int]:
    """When each file below a folder was written."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob('*')) if path.is_file()
    }


def is_clean(text: str) -> bool:
    """Nothing that only a programmer wants to see."""
    return not any(word in text.lower() for word in ('traceback', 'warning', '[ warn', 'libpng'))


def refuses(call: Call, *arguments: object) -> str:
    """The one line with which the tool refuses its arguments."""
    code, out, err = call(TOOL, *arguments)
    assert code == 2
    assert out == ''
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    return err


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model()
    model.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': MPP}
    spread_scores(model, smooth_tissue(480, 480))
    return save_checkpoint(tmp_path_factory.mktemp('model') / 'best.pth', model)


@pytest.fixture(scope='module')
def tissue_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scope: dict[str, Any] = {}
    exec(TISSUE_CONFIG, scope)
    torch.manual_seed(0)
    model = MODELS.build(scope['model'])
    path = tmp_path_factory.mktemp('tissue') / 'tissue.pth'
    config = {'model': scope['model'], 'default_scope': 'mitouts'}
    meta = {'cfg': json.dumps(config), 'mitouts': {'mpp': MPP, 'classes': ['tumour', 'other']}}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.delenv('WORLD_SIZE', raising=False)


def test_counts_of_a_slide_are_those_of_its_figures(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    width, height = 960, 690
    image = np.full((height, width, 3), 243, np.uint8)
    image[:, :WIDTH] = smooth_tissue(WIDTH, height)
    slide = write_slide(tmp_path / 'a.tif', image, **TILED)
    out = tmp_path / 'out'
    code, stdout, stderr = call(TOOL, slide, '--checkpoint', checkpoint, '--out', out, '--roi-mm2', 0.5)
    assert (code, stdout) == (0, '')
    assert is_clean(stderr)
    assert {path.name for path in (out / 'a').iterdir()} == {*FILES, '.stamp.json'}

    # Tissue covers the first five columns of tiles and 94% of the sixth; the lowest row is cut by the slide's end.
    points = np.array(json.loads((out / 'a/predictions.json').read_text())['images'][0]['points'])
    figures = points[points[:, 2] > 0.5]
    column, row = ((figures[:, axis] + 0.5) // TILE_PX for axis in (0, 1))
    is_counted = (column < 6) & (row < 5)
    area_mm2 = 6 * 5 * (TILE_PX * MPP / 1000) ** 2
    count = int(is_counted.sum())
    assert 20 < count < len(figures)
    counts = read_report(out / 'a')['counts']
    assert (counts['figures'], counts['count'], counts['num_tiles']) == (len(figures), count, 30)
    assert counts['tumour_mm2'] == pytest.approx(area_mm2)
    assert counts['excluded_because'] is None
    assert counts['mai'] == pytest.approx(count / 30)
    assert counts['per_mm2'] == pytest.approx(count / area_mm2)
    assert counts['per_mm2_ci95'] == pytest.approx(
        [chi2.ppf(0.025, 2 * count) / 2 / area_mm2, chi2.ppf(0.975, 2 * count + 2) / 2 / area_mm2]
    )
    assert counts['per_10_hpf'] == pytest.approx(count / area_mm2 * 10 * np.pi * (0.53 / 2) ** 2)

    table = read_csv(out / 'a/figures.csv')
    assert [int(line['in_counted_tile']) for line in table] == is_counted.astype(int).tolist()
    np.testing.assert_allclose([float(line['x_um']) for line in table], figures[:, 0] * MPP, atol=1e-2)
    hottest = read_report(out / 'a')['hotspots'][0]
    side, kept = np.sqrt(0.5) * 1000 / MPP, figures[is_counted]
    # The hottest square can be moved until a figure lies on its left edge and one on its upper edge.
    most = max(
        int(((kept[:, :2] >= (left, top)) & (kept[:, :2] <= (left + side, top + side))).all(axis=1).sum())
        for left in np.minimum(kept[:, 0], width - 0.5 - side)
        for top in np.minimum(kept[:, 1], height - 0.5 - side)
    )
    assert hottest['count'] == most
    (row_of_all,) = read_csv(out / 'counts.csv')
    assert (row_of_all['slide'], row_of_all['status'], int(row_of_all['count'])) == ('a.tif', 'counted', count)


def test_finished_slides_are_left_alone_until_the_model_or_the_slide_changes(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=260, height=200)
    arguments = [slide, '--checkpoint', checkpoint, '--out', tmp_path / 'out']
    assert call(TOOL, *arguments)[0] == 0
    before = written(tmp_path / 'out/a')
    assert 'holds counts already: add --resume' in refuses(call, *arguments)
    code, _, stderr = call(TOOL, *arguments, '--resume')
    assert code == 0
    assert 'a.tif: finished before' in stderr
    assert written(tmp_path / 'out/a') == before

    assert 'a.tif: done' in call(TOOL, *arguments, '--resume', '--threshold', 0.6)[2]
    report = read_report(tmp_path / 'out/a')
    assert report['provenance']['map_threshold'] == 0.6
    points = json.loads((tmp_path / 'out/a/predictions.json').read_text())['images'][0]['points']
    assert report['counts']['figures'] == sum(score > 0.6 for _, _, score in points)

    other = make_model()
    other.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': MPP}
    arguments[2] = save_checkpoint(tmp_path / 'best.pth', other)
    assert 'a.tif: done' in call(TOOL, *arguments, '--resume')[2]
    assert 'a.tif: finished before' in call(TOOL, *arguments, '--resume')[2]
    tissue_slide(slide, seed=1, width=260, height=200)
    assert 'a.tif: done' in call(TOOL, *arguments, '--resume')[2]


def test_slide_that_is_away_for_a_while_has_failed_and_keeps_its_report(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    tissue_slide(tmp_path / 'slides/a.tif', width=200, height=150)
    tissue_slide(tmp_path / 'slides/b.tif', width=200, height=150)
    (tmp_path / 'list.txt').write_text('slides/a.tif\nslides/b.tif\n')
    arguments = [tmp_path / 'list.txt', '--checkpoint', checkpoint, '--out', tmp_path / 'out', '--resume']
    assert call(TOOL, *arguments)[0] == 0
    (tmp_path / 'slides').rename(tmp_path / 'away')
    code, _, stderr = call(TOOL, *arguments)
    assert code == 1
    assert stderr.count('failed: ') == 2
    assert {row['status'][:7] for row in read_csv(tmp_path / 'out/counts.csv')} == {'failed:'}
    (tmp_path / 'away').rename(tmp_path / 'slides')
    code, _, stderr = call(TOOL, *arguments)
    assert code == 0
    assert stderr.count('finished before') == 2
    assert not list((tmp_path / 'out').rglob('failed.json'))


def bad_cohort(folder: Path) -> dict[str, tuple[dict[str, str], str | None]]:
    """Write a cohort: name of a slide -> further cells of its line, and how its failure is told."""
    folder.mkdir()
    good = tissue_slide(folder / 'gut ü 1 日.tif').read_bytes()
    (folder / 'truncated.tif').write_bytes(good[: len(good) // 2])
    (folder / 'header only.tif').write_bytes(good[:100])
    (folder / 'zero bytes.tif').write_bytes(b'')
    (folder / 'nulls.tif').write_bytes(bytes(500))
    (folder / 'text.tif').write_text('not a slide\n' * 20)
    (folder / 'folder.tif').mkdir()
    plain = smooth_tissue(100, 80)
    for name in ('no mpp', 'mpp given', 'mpp 0', 'mpp 40', 'mpp text'):
        tifffile.imwrite(folder / f'{name}.tif', plain, photometric='rgb')
    _, encoded = cv2.imencode('.png', smooth_tissue(300, 200))
    (folder / 'half.png').write_bytes(encoded.tobytes()[: len(encoded) // 2])
    write_slide(folder / 'one pixel.tif', smooth_tissue(1, 1), **RESOLUTION)
    write_slide(folder / 'glass.tif', np.full((200, 300, 3), 245, np.uint8), **RESOLUTION)
    write_slide(folder / 'too coarse.tif', plain, resolution=(1000, 1000), resolutionunit=3)
    tissue_slide(folder / 'Same.tif', 5, 100, 100)
    tissue_slide(folder / 'other/same.tif', 6, 100, 100)
    return {
        'gut ü 1 日.tif': ({}, None),
        'truncated.tif': ({}, 'is truncated'),
        'header only.tif': ({}, 'cannot be read'),
        'zero bytes.tif': ({}, 'is empty (0 bytes)'),
        'nulls.tif': ({}, 'expected a slide'),
        'text.tif': ({}, 'found text that begins'),
        'folder.tif': ({}, 'is a folder'),
        'missing.tif': ({}, 'No such file'),
        'no mpp.tif': ({}, 'give --mpp, or a column mpp'),
        'mpp given.tif': ({'mpp': '2'}, None),
        'mpp 0.tif': ({'mpp': '0'}, "found '0'"),
        'mpp 40.tif': ({'mpp': '40'}, '40 um per pixel makes no sense'),
        'mpp text.tif': ({'mpp': 'fine'}, "found 'fine'"),
        'half.png': ({'mpp': '2'}, 'half.png'),
        'one pixel.tif': ({}, None),
        'glass.tif': ({}, None),
        'too coarse.tif': ({}, 'would enlarge it 5.00 times'),
        'Same.tif': ({}, None),
        'other/same.tif': ({}, None),
    }


def test_cohort_goes_on_past_every_bad_slide(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    cohort = bad_cohort(tmp_path / 's')
    lines = [
        {'slide': f's/{name}', 'mpp': '', 'mai': str(number), **more}
        for number, (name, (more, _)) in enumerate(cohort.items())
    ]
    lines.append({'slide': 's/../s/glass.tif', 'mpp': '', 'mai': '7'})
    with (tmp_path / 'list.csv').open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, ['slide', 'mpp', 'mai'])
        writer.writeheader()
        writer.writerows(lines)
    before = written(tmp_path / 's')
    out = tmp_path / 'out'
    code, stdout, stderr = call(TOOL, tmp_path / 'list.csv', '--checkpoint', checkpoint, '--out', out)
    assert (code, stdout) == (1, '')
    assert is_clean(stderr)
    assert written(tmp_path / 's') == before
    assert 'glass.tif is the same slide as' in stderr

    rows = read_csv(out / 'counts.csv')
    assert [row['slide'] for row in rows] == [Path(name).name for name in cohort]
    for row, (name, (_, problem)) in zip(rows, cohort.items()):
        if problem is None:
            assert row['status'].startswith(('counted', 'excluded: ')), name
        else:
            assert row['status'].startswith('failed: '), name
            assert problem in row['status'], name
    shown = stderr.partition('written to')[2]
    table = ' '.join(shown.replace('│', ' ').split())
    failed = [Path(name).name for name, (_, problem) in cohort.items() if problem is not None]
    assert [name for name in failed if name not in shown.rpartition('failed\n')[2]] == []
    assert 'is empty (0 bytes)' in table
    assert max(map(len, shown.partition('\n')[2].splitlines())) <= 80

    by_name = {row['slide']: row for row in rows}
    assert int(by_name['gut ü 1 日.tif']['count']) > 0
    assert by_name['gut ü 1 日.tif']['given_mai'] == '0'
    assert (by_name['glass.tif']['figures'], by_name['one pixel.tif']['count']) == ('0', '0')
    alone = tmp_path / 'alone'
    assert call(TOOL, tmp_path / 's/gut ü 1 日.tif', '--checkpoint', checkpoint, '--out', alone)[0] == 0
    assert lasting(alone / 'gut ü 1 日') == lasting(out / 'gut ü 1 日')
    assert read_report(out / 'Same')['slide']['file_name'] == 'Same.tif'
    assert read_report(out / 'same-2')['slide']['file_name'] == 'same.tif'


def test_regions_of_every_kind(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    slide = tissue_slide(tmp_path / 'a.tif')
    image = slide.read_bytes()
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radii = 250 + 40 * np.sin(50 * angles)
    many = np.stack([380 + radii * np.cos(angles), 325 + radii * np.sin(angles)], axis=1).round(2)
    outline(tmp_path / 'thousands.geojson', *map(tuple, many.tolist()))
    rectangle(tmp_path / 'all.geojson', -50, -50, 5000, 5000)
    rectangle(tmp_path / 'left half.geojson', 0, 0, 3 * TILE_PX, HEIGHT)
    for name, corner in (('far right', 9000), ('far left', -9000)):
        rectangle(tmp_path / f'{name}.geojson', corner, corner, corner + 100, corner + 100)
    outline(tmp_path / 'empty.geojson')
    (tmp_path / 'broken.geojson').write_text('{"type": "FeatureColl')
    (tmp_path / 'zero.geojson').write_text('')
    rectangle(tmp_path / 'infinite.geojson', 0, 0, float('inf'), 100)
    fails = {
        'empty': 'expected an area (a polygon)',
        'broken': 'not JSON',
        'zero': 'not JSON',
        'infinite': 'infinite.geojson',
        'missing': 'No such file',
    }
    names = ['thousands', 'all', 'left half', 'far right', 'far left', *fails]
    for name in names:
        (tmp_path / f'{name}.tif').write_bytes(image)
    (tmp_path / 'list.csv').write_text(
        'slide,roi\n' + ''.join(f'{name}.tif,{name}.geojson\n' for name in names) + 'a.tif,\n'
    )
    out = tmp_path / 'out'
    code, _, stderr = call(TOOL, tmp_path / 'list.csv', '--checkpoint', checkpoint, '--out', out)
    assert code == 1
    assert is_clean(stderr)
    rows = {row['slide'].removesuffix('.tif'): row for row in read_csv(out / 'counts.csv')}
    for name, problem in fails.items():
        assert problem in rows[name]['status'], name
    assert rows['all']['count'] == rows['a']['count']
    assert (rows['all']['tumour_from'], rows['a']['tumour_from']) == ('region', 'tissue')
    for name in ('far right', 'far left'):
        assert (rows[name]['figures'], rows[name]['num_tiles']) == ('0', '0')
        assert rows[name]['status'].startswith('excluded: 0.00 mm2')
    x_of_counted = [float(line['x_px']) for line in read_csv(out / 'a/figures.csv') if line['in_counted_tile'] == '1']
    assert rows['left half']['num_tiles'] == '15'
    assert int(rows['left half']['count']) == sum(x + 0.5 < 3 * TILE_PX for x in x_of_counted)
    # Of the circle only the tiles count that it fills to 40%.
    assert 9 < int(rows['thousands']['num_tiles']) < 30
    assert 0 < int(rows['thousands']['count']) < int(rows['a']['count'])

    arguments = [slide, '--checkpoint', checkpoint, '--out', tmp_path / 'one', '--roi']
    for name, problem in (('empty', 'expected an area'), ('missing', 'cannot be read')):
        assert problem in refuses(call, *arguments, tmp_path / f'{name}.geojson')
    assert not (tmp_path / 'one').exists()
    assert call(TOOL, *arguments, tmp_path / 'left half.geojson')[0] == 0
    assert lasting(tmp_path / 'one/a')['counts'] == lasting(out / 'left half')['counts']


def test_tissue_model_says_where_it_is_counted(
    call: Call, checkpoint: Path, tissue_checkpoint: Path, tmp_path: Path
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif')
    arguments = [slide, '--checkpoint', checkpoint, '--tissue', tissue_checkpoint, '--out', tmp_path / 'out']
    assert call(TOOL, *arguments)[0] == 0
    report = read_report(tmp_path / 'out/a')
    assert report['counted_area']['from'] == 'model'
    assert report['provenance']['tissue_checkpoint'] == 'tissue.pth'


def test_nothing_is_written_beside_slides(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'slides'
    tissue_slide(folder / 'a.tif', width=200, height=150)
    before = written(folder)
    folder.chmod(0o555)
    try:
        assert call(TOOL, folder, '--checkpoint', checkpoint, '--out', tmp_path / 'out')[0] == 0
    finally:
        folder.chmod(0o755)
    assert written(folder) == before


def test_output_that_cannot_be_written_is_told_before_counting(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=200, height=150)
    (tmp_path / 'file').write_text('x')
    for out in (tmp_path / 'file', tmp_path / 'file/below'):
        assert 'nothing can be written there' in refuses(call, slide, '--checkpoint', checkpoint, '--out', out)
    assert (tmp_path / 'file').read_text() == 'x'


@pytest.mark.skipif(not Path('/proc/self').is_dir(), reason='needs a folder that not even root can write to')
def test_read_only_output_is_told_before_counting(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=200, height=150)
    assert 'nothing can be written there' in refuses(call, slide, '--checkpoint', checkpoint, '--out', '/proc/self')


def test_models_that_cannot_count_are_refused(
    call: Call, checkpoint: Path, tissue_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=200, height=150)
    out = ['--out', tmp_path / 'out']
    missing = tmp_path / 'missing.pth'
    assert 'missing.pth' in refuses(call, slide, '--checkpoint', missing, *out)
    assert 'missing.pth' in refuses(call, slide, '--checkpoint', checkpoint, '--tissue', missing, *out)
    assert 'expected a tissue model' in refuses(call, slide, '--checkpoint', checkpoint, '--tissue', checkpoint, *out)
    refuses(call, slide, '--checkpoint', tissue_checkpoint, *out)
    (tmp_path / 'text.pth').write_text('no checkpoint')
    assert 'text.pth' in refuses(call, slide, '--checkpoint', tmp_path / 'text.pth', *out)
    attention = make_model(aggregator='AttentionAggregator', head='EmbeddingHead')
    attention.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': MPP}
    path = save_checkpoint(tmp_path / 'attention.pth', attention)
    saved = torch.load(path, weights_only=True)
    config = json.loads(saved['meta']['cfg'])
    config['model']['head'] = dict(type='EmbeddingHead', aggregator=dict(type='AttentionAggregator'))
    saved['meta']['cfg'] = json.dumps(config)
    torch.save(saved, path)
    assert 'cannot be computed tile by tile' in refuses(call, slide, '--checkpoint', path, *out)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'no GPU is visible' in refuses(call, slide, '--checkpoint', checkpoint, *out, '--device', 'cuda')
    assert not (tmp_path / 'out/counts.csv').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--tissue', 't.pth', '--roi', 'r.geojson'], 'not allowed with argument'),
        (['--mpp', '0'], 'must be from 0.05 to 20 um per pixel, found 0'),
        (['--mpp', '40'], 'found 40'),
        (['--mpp', 'nan'], 'found nan'),
        (['--threshold', '1.5'], 'must be from 0 to 1'),
        (['--roi-mm2', '-1'], 'must be a positive number'),
        (['--workers', '0'], 'must be at least 1'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Call, arguments: list[str], message: str) -> None:
    code, _, stderr = call(TOOL, 'a.tif', '--checkpoint', 'best.pth', *arguments)
    assert code == 2
    assert message in stderr


def test_lists_that_cannot_be_read_are_refused(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'binary.txt').write_bytes(b'\xff\xfe\x00a')
    (tmp_path / 'binary.csv').write_bytes(b'\xff\xfe\x00a')
    (tmp_path / 'no column.csv').write_text('name\na.tif\n')
    (tmp_path / 'zero.csv').write_text('')
    (tmp_path / 'comment.txt').write_text('# nothing\n')
    for name, message in {
        'missing.tif': 'no such file or folder',
        'missing.csv': 'no such file or folder',
        'empty': 'holds no slide',
        'binary.txt': 'is not UTF-8 text',
        'binary.csv': 'is not UTF-8 text',
        'no column.csv': "has no column 'slide'",
        'zero.csv': 'has no header',
        'comment.txt': 'names no slide',
    }.items():
        assert message in refuses(call, tmp_path / name, '--checkpoint', checkpoint, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('rank', 'ranks'), [('2', '2'), ('-1', '2'), ('a', '2'), ('0', '0')])
def test_processes_that_make_no_sense_are_refused(
    call: Call, monkeypatch: pytest.MonkeyPatch, rank: str, ranks: str
) -> None:
    monkeypatch.setenv('RANK', rank)
    monkeypatch.setenv('WORLD_SIZE', ranks)
    assert f'RANK={rank} and WORLD_SIZE={ranks}' in refuses(call, 'a.tif', '--checkpoint', 'best.pth')


def test_of_several_processes_the_last_one_says_what_failed(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tissue_slide(tmp_path / 'slides/good.tif', width=200, height=150)
    (tmp_path / 'slides/bad.tif').write_text('no slide')
    arguments = [tmp_path / 'slides', '--checkpoint', checkpoint, '--out', tmp_path / 'out']
    monkeypatch.setenv('WORLD_SIZE', '3')
    codes, texts = [], []
    # The process with the bad slide, then one without any, then the one with the good slide.
    for rank in ('1', '2', '0'):
        monkeypatch.setenv('RANK', rank)
        code, _, stderr = call(TOOL, *arguments)
        codes.append(code)
        texts.append(stderr)
    assert codes == [0, 0, 1]
    assert ['not done yet' in text for text in texts] == [True, True, False]
    assert 'bad.tif' in texts[2].partition('written to')[2]
    statuses = {row['slide']: row['status'] for row in read_csv(tmp_path / 'out/counts.csv')}
    assert statuses['good.tif'].startswith('excluded')
    assert statuses['bad.tif'].startswith('failed')


def test_table_holds_what_another_process_ended_meanwhile(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process has looked at the reports when the other one ends its slide and writes the table."""
    from mitouts.inference import cohort

    tissue_slide(tmp_path / 'slides/a.tif', width=200, height=150)
    tissue_slide(tmp_path / 'slides/b.tif', seed=1, width=200, height=150)
    out = tmp_path / 'out'
    arguments = [tmp_path / 'slides', '--checkpoint', checkpoint, '--out', out]
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('RANK', '0')
    call(TOOL, *arguments)
    others = next(name for name in ('a', 'b') if not (out / name).exists())
    finished = next(name for name in ('a', 'b') if name != others)
    write = cohort.write_counts

    def ends_another_slide(found: Any, folder: Path) -> Any:
        if not (out / others / 'report.json').exists():
            (out / others).mkdir(exist_ok=True)
            (out / others / 'report.json').write_bytes((out / finished / 'report.json').read_bytes())
        return write(found, folder)

    monkeypatch.setattr(cohort, 'write_counts', ends_another_slide)
    call(TOOL, *arguments)
    assert [row['status'][:8] for row in read_csv(out / 'counts.csv')] == ['excluded'] * 2


def test_tool_that_was_killed_goes_on_with_the_next_band(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif')
    options = [slide, '--checkpoint', checkpoint, '--tile-px', 128, '--workers', 1]
    assert call(TOOL, *options, '--out', tmp_path / 'whole')[0] == 0
    compute, batches = DenseModel.__call__, []

    def dies(self: DenseModel, tiles: np.ndarray) -> np.ndarray:
        batches.append(len(tiles))
        if len(batches) == 20:
            raise KeyboardInterrupt
        return compute(self, tiles)

    out = tmp_path / 'out'
    monkeypatch.setattr(DenseModel, '__call__', dies)
    code, _, stderr = call(TOOL, *options, '--out', out)
    assert (code, stderr) == (130, 'interrupted\n')
    assert not (out / 'a/report.json').exists()
    left = batches.copy()
    batches[:] = [0] * 100
    assert call(TOOL, *options, '--out', out, '--resume')[0] == 0
    assert len(batches) - 100 < 36
    assert len(left) == 20
    assert lasting(out / 'a') == lasting(tmp_path / 'whole/a')
    assert (out / 'a/figures.csv').read_bytes() == (tmp_path / 'whole/a/figures.csv').read_bytes()
    assert not (out / 'a/.work').exists()


def test_half_a_score_map_is_begun_again(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=300, height=300)
    options = [slide, '--checkpoint', checkpoint, '--tile-px', 128]
    assert call(TOOL, *options, '--out', tmp_path / 'whole')[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr('mitouts.inference.slide.large_map_to_points', _interrupt)
        assert call(TOOL, *options, '--out', tmp_path / 'out')[0] == 130
    map_path = tmp_path / 'out/a/.work/score_map.npy'
    map_path.write_bytes(map_path.read_bytes()[:200])
    (tmp_path / 'out/a/.report.json.123.tmp').write_text('{"provenance": ')
    assert call(TOOL, *options, '--out', tmp_path / 'out', '--resume')[0] == 0
    assert lasting(tmp_path / 'out/a') == lasting(tmp_path / 'whole/a')
    assert not list((tmp_path / 'out/a').glob('.*.tmp'))


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def start(environment: Mapping[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(TOOL_PATH), *map(str, arguments)]
    return subprocess.Popen(
        command,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_killing_one_of_two_processes_loses_no_slide_and_counts_none_twice(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    for number in range(6):
        tissue_slide(tmp_path / f'slides/{number}.tif', seed=number, width=300, height=250)
    own = {path.stem for path in (tmp_path / 'slides').iterdir()}
    out = tmp_path / 'out'
    arguments = [tmp_path / 'slides', '--checkpoint', checkpoint, '--out', out, '--workers', 1]
    both = [{'RANK': str(rank), 'WORLD_SIZE': '2'} for rank in range(2)]
    killed, survivor = (start(each, *arguments) for each in both)
    try:
        while killed.poll() is None and not list(out.glob('*/report.json')):
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        _, stderr = survivor.communicate(timeout=60)
    finally:
        for process in (killed, survivor):
            process.kill()
            process.communicate()
    assert survivor.returncode == 0
    assert is_clean(stderr.decode())
    first = {name: written(out / name) for name in own if (out / name / 'report.json').exists()}
    assert 3 <= len(first) < 6

    again = [start(each, *arguments, '--resume') for each in both]
    texts = [process.communicate(timeout=60)[1].decode() for process in again]
    assert [process.returncode for process in again] == [0, 0]
    told = [line for text in texts for line in text.splitlines() if '.tif: ' in line]
    expected = {f'{name}.tif: {"finished before" if name in first else "done"}' for name in own}
    assert sorted(told) == sorted(expected)
    for name, times in first.items():
        assert written(out / name)['report.json'] == times['report.json']
    assert call(TOOL, tmp_path / 'slides', '--checkpoint', checkpoint, '--out', tmp_path / 'alone')[0] == 0
    assert (out / 'counts.csv').read_text() == (tmp_path / 'alone/counts.csv').read_text()
    for name in own:
        assert lasting(out / name) == lasting(tmp_path / 'alone' / name)
