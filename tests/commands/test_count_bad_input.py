"""Counting on whole slides from the command line: bad slides, regions, models, arguments and lists."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from counted_slides import (
    COMMAND,
    HEIGHT,
    MPP,
    RESOLUTION,
    TILE_PX,
    Call,
    is_clean,
    lasting,
    outline,
    read_csv,
    read_report,
    rectangle,
    refuses,
    tissue_slide,
    written,
)
from untrained import make_model, save_checkpoint, smooth_tissue, write_slide


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
        'no mpp.tif': ({}, 'with --mpp, in a column mpp'),
        'mpp given.tif': ({'mpp': '2'}, None),
        'mpp 0.tif': ({'mpp': '0'}, "found '0'"),
        'mpp 40.tif': ({'mpp': '40'}, 'it would have to be enlarged'),
        'mpp text.tif': ({'mpp': 'fine'}, "found 'fine'"),
        'half.png': ({'mpp': '2'}, 'half.png'),
        'one pixel.tif': ({}, None),
        'glass.tif': ({}, None),
        'too coarse.tif': ({}, 'states 10 um per pixel, which no scanner has (0.1 to 2)'),
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
    code, stdout, stderr = call(COMMAND, tmp_path / 'list.csv', '--checkpoint', checkpoint, '--out', out)
    assert (code, stdout) == (1, '')
    assert is_clean(stderr)
    assert written(tmp_path / 's') == before
    assert 'glass.tif is the same slide as' in stderr

    rows = read_csv(out / 'counts.csv')
    assert [row['slide'] for row in rows] == list(cohort)
    for row, (name, (_, problem)) in zip(rows, cohort.items()):
        if problem is None:
            assert row['status'].startswith(('counted', 'excluded: ')), name
        else:
            assert row['status'].startswith('failed: '), name
            assert problem in row['status'], name
    shown = stderr.partition('written to')[2]
    table = ' '.join(shown.replace('│', ' ').split())
    failed = [name for name, (_, problem) in cohort.items() if problem is not None]
    assert [name for name in failed if name not in shown.rpartition('failed\n')[2]] == []
    assert 'is empty (0 bytes)' in table
    assert max(map(len, shown.partition('\n')[2].splitlines())) <= 80

    by_name = {row['slide']: row for row in rows}
    assert int(by_name['gut ü 1 日.tif']['count']) > 0
    assert by_name['gut ü 1 日.tif']['given_mai'] == '0'
    assert (by_name['glass.tif']['figures'], by_name['one pixel.tif']['count']) == ('0', '0')
    alone = tmp_path / 'alone'
    assert call(COMMAND, tmp_path / 's/gut ü 1 日.tif', '--checkpoint', checkpoint, '--out', alone)[0] == 0
    assert lasting(alone / 'gut ü 1 日') == lasting(out / 'gut ü 1 日')
    assert read_report(out / 's_Same')['slide']['file_name'] == 'Same.tif'
    assert read_report(out / 'other_same')['slide']['file_name'] == 'same.tif'


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
    code, _, stderr = call(COMMAND, tmp_path / 'list.csv', '--checkpoint', checkpoint, '--out', out)
    assert code == 1
    assert is_clean(stderr)
    rows = {row['slide'].removesuffix('.tif'): row for row in read_csv(out / 'counts.csv')}
    for name, problem in fails.items():
        assert problem in rows[name]['status'], name
    assert rows['all']['count'] == rows['a']['count']
    assert (rows['all']['counted_area_from'], rows['a']['counted_area_from']) == ('region', 'tissue')
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
    assert call(COMMAND, *arguments, tmp_path / 'left half.geojson')[0] == 0
    assert lasting(tmp_path / 'one/a')['counts'] == lasting(out / 'left half')['counts']


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
        (['--mpp', '0'], 'must be a positive number, found 0'),
        (['--mpp', 'nan'], 'found nan'),
        (['--threshold', '1.5'], 'must be from 0 to 1'),
        (['--roi-mm2', '-1'], 'must be a positive number'),
        (['--workers', '0'], 'must be at least 1'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Call, arguments: list[str], message: str) -> None:
    code, _, stderr = call(COMMAND, 'a.tif', '--checkpoint', 'best.pth', *arguments)
    assert code == 2
    assert message in stderr


def test_a_class_of_polygons_without_polygons_is_refused(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    slide = tmp_path / 'a.tif'
    slide.touch()
    out = ('--out', tmp_path / 'out')
    assert 'give --roi' in refuses(call, slide, '--checkpoint', checkpoint, *out, '--roi-class', 'tumour')


def test_lists_that_cannot_be_read_are_refused(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'binary.txt').write_bytes(b'\x89PNG\x00a')
    (tmp_path / 'binary.csv').write_bytes(b'\x89PNG\x00a')
    (tmp_path / 'no column.csv').write_text('name\na.tif\n')
    (tmp_path / 'zero.csv').write_text('')
    (tmp_path / 'comment.txt').write_text('# nothing\n')
    for name, message in {
        'missing.tif': 'no such file or folder',
        'missing.csv': 'no such file or folder',
        'empty': 'holds no slide',
        'binary.txt': 'is not UTF-8',
        'binary.csv': 'is not UTF-8',
        'no column.csv': "has no column 'slide'",
        'zero.csv': 'has no header',
        'comment.txt': 'names no slide',
    }.items():
        assert message in refuses(call, tmp_path / name, '--checkpoint', checkpoint, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
