"""Counting on whole slides from the command line: figures, rates, and what a second run does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from counted_slides import (
    COMMAND,
    MPP,
    TILE_PX,
    TILED,
    WIDTH,
    Call,
    is_clean,
    read_csv,
    read_report,
    rectangle,
    refuses,
    tissue_slide,
    written,
)
from scipy.stats import chi2
from untrained import make_model, save_checkpoint, smooth_tissue, write_slide

from mitouts.wsi.report import FILES


def test_counts_of_a_slide_are_those_of_its_figures(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    width, height = 960, 690
    image = np.full((height, width, 3), 243, np.uint8)
    image[:, :WIDTH] = smooth_tissue(WIDTH, height)
    slide = write_slide(tmp_path / 'a.tif', image, **TILED)
    out = tmp_path / 'out'
    code, stdout, stderr = call(COMMAND, slide, '--checkpoint', checkpoint, '--out', out, '--roi-mm2', 0.5)
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
    assert counts['counted_mm2'] == pytest.approx(area_mm2)
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
    assert call(COMMAND, *arguments)[0] == 0
    before = written(tmp_path / 'out/a')
    assert 'holds counts already: add --resume' in refuses(call, *arguments)
    code, _, stderr = call(COMMAND, *arguments, '--resume')
    assert code == 0
    assert 'a.tif: finished before' in stderr
    assert written(tmp_path / 'out/a') == before

    assert 'a.tif: done' in call(COMMAND, *arguments, '--resume', '--threshold', 0.6)[2]
    report = read_report(tmp_path / 'out/a')
    assert report['provenance']['map_threshold'] == 0.6
    points = json.loads((tmp_path / 'out/a/predictions.json').read_text())['images'][0]['points']
    assert report['counts']['figures'] == sum(score > 0.6 for _, _, score in points)

    other = make_model()
    other.calibration = {'image_threshold': 0.5, 'map_threshold': 0.5, 'mpp': MPP}
    arguments[2] = save_checkpoint(tmp_path / 'best.pth', other)
    assert 'a.tif: done' in call(COMMAND, *arguments, '--resume')[2]
    assert 'a.tif: finished before' in call(COMMAND, *arguments, '--resume')[2]
    tissue_slide(slide, seed=1, width=260, height=200)
    assert 'a.tif: done' in call(COMMAND, *arguments, '--resume')[2]


def test_slide_that_is_away_for_a_while_has_failed_and_keeps_its_report(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    tissue_slide(tmp_path / 'slides/a.tif', width=200, height=150)
    tissue_slide(tmp_path / 'slides/b.tif', width=200, height=150)
    (tmp_path / 'list.txt').write_text('slides/a.tif\nslides/b.tif\n')
    arguments = [tmp_path / 'list.txt', '--checkpoint', checkpoint, '--out', tmp_path / 'out', '--resume']
    assert call(COMMAND, *arguments)[0] == 0
    (tmp_path / 'slides').rename(tmp_path / 'away')
    code, _, stderr = call(COMMAND, *arguments)
    assert code == 1
    assert stderr.count('failed: ') == 2
    assert {row['status'][:7] for row in read_csv(tmp_path / 'out/counts.csv')} == {'failed:'}
    (tmp_path / 'away').rename(tmp_path / 'slides')
    code, _, stderr = call(COMMAND, *arguments)
    assert code == 0
    assert stderr.count('finished before') == 2
    assert not list((tmp_path / 'out').rglob('failed.json'))


def test_tissue_model_says_where_it_is_counted(
    call: Call, checkpoint: Path, tissue_checkpoint: Path, tmp_path: Path
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif')
    arguments = [slide, '--checkpoint', checkpoint, '--tissue', tissue_checkpoint, '--out', tmp_path / 'out']
    assert call(COMMAND, *arguments)[0] == 0
    report = read_report(tmp_path / 'out/a')
    assert report['counted_area']['from'] == 'model'
    assert report['provenance']['tissue_checkpoint'] == 'tissue.pth'


def test_nothing_is_written_beside_slides(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'slides'
    tissue_slide(folder / 'a.tif', width=200, height=150)
    before = written(folder)
    folder.chmod(0o555)
    try:
        assert call(COMMAND, folder, '--checkpoint', checkpoint, '--out', tmp_path / 'out')[0] == 0
    finally:
        folder.chmod(0o755)
    assert written(folder) == before


def test_slides_of_one_name_are_told_apart(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(('c1', 'c#2')):
        tissue_slide(tmp_path / 's' / folder / '1.tif', seed=number, width=200 + 50 * number, height=150)
    (tmp_path / 'list.txt').write_text('s/c1/1.tif\ns/c#2/1.tif\n')
    out = tmp_path / 'out'
    arguments = [tmp_path / 'list.txt', '--checkpoint', checkpoint, '--out', out]
    code, _, stderr = call(COMMAND, *arguments)
    assert code == 0
    assert 'c1/1.tif: done' in stderr
    assert 'c#2/1.tif: done' in stderr
    assert [row['slide'] for row in read_csv(out / 'counts.csv')] == ['c1/1.tif', 'c#2/1.tif']
    assert {name: read_report(out / name)['slide']['width_px'] for name in ('c1_1', 'c#2_1')} == {
        'c1_1': 200,
        'c#2_1': 250,
    }
    before = written(out / 'c1_1')
    (tmp_path / 'list.txt').write_text('s/c#2/1.tif\ns/c1/1.tif\n')
    code, _, stderr = call(COMMAND, *arguments, '--resume')
    assert stderr.count('finished before') == 2
    assert written(out / 'c1_1') == before


def test_rates_on_less_tissue_where_a_user_insists(call: Call, checkpoint: Path, tmp_path: Path) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=260, height=260)
    arguments = [slide, '--checkpoint', checkpoint, '--out']
    assert call(COMMAND, *arguments, tmp_path / 'usual')[0] == 0
    usual = read_report(tmp_path / 'usual/a')
    assert usual['counts']['excluded_because'] == '0.26 mm2 counted, less than 1.59 mm2'
    assert usual['remarks'][0] == 'no rates: 0.26 mm2 counted, less than 1.59 mm2'
    assert usual['counts']['per_mm2'] is None
    code, _, stderr = call(COMMAND, *arguments, tmp_path / 'asked', '--min-area-mm2', 0)
    assert code == 0
    asked = read_report(tmp_path / 'asked/a')
    counts = asked['counts']
    assert counts['per_mm2'] == pytest.approx(counts['count'] / counts['counted_mm2'])
    assert asked['remarks'][:2] == ['counted in all tissue', 'rates on less than 1.59 mm2, as asked for']
    (row,) = read_csv(tmp_path / 'asked/counts.csv')
    assert row['status'] == 'counted'
    assert row['remark'] == '; '.join(asked['remarks'])
    assert 'rates on less' in ' '.join(stderr.replace('│', ' ').split())


def test_the_first_line_and_the_report_say_what_the_model_was_trained_on(
    call: Call, checkpoint: Path, tmp_path: Path
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif', width=200, height=150)
    code, _, stderr = call(COMMAND, slide, '--checkpoint', checkpoint, '--out', tmp_path / 'out')
    assert code == 0
    trained_on = read_report(tmp_path / 'out/a')['provenance']['trained_on']
    assert (trained_on['dataset'], trained_on['config']) == ('unknown', 'unknown')
    known = 'a data set of unknown name, 2 um/px, stain: unknown'
    assert stderr.splitlines()[0] == f'best.pth was trained on {known}. For research use only.'
    (row,) = read_csv(tmp_path / 'out/counts.csv')
    assert row['trained_on'] == trained_on['in_words']
    assert f'# trained_on: {trained_on["in_words"]}' in (tmp_path / 'out/a/figures.csv').read_text()


def test_a_word_means_the_same_in_table_csv_and_report(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('COLUMNS', '200')
    slide = tissue_slide(tmp_path / 'a.tif')
    rectangle(tmp_path / 'left.geojson', 0, 0, 2.2 * TILE_PX, 650)
    out = tmp_path / 'out'
    options = ['--roi', tmp_path / 'left.geojson', '--min-area-mm2', 0.1]
    code, _, stderr = call(COMMAND, slide, '--checkpoint', checkpoint, '--out', out, *options)
    assert code == 0
    report = read_report(out / 'a')
    counts = report['counts']
    assert counts['figures'] > counts['count'] > 0
    header, line = (
        [cell.strip() for cell in text.replace('┃', '│').strip('│').split('│')]
        for text in stderr.splitlines()
        if 'counted mm2' in text or text.startswith('│ a.tif')
    )
    shown = dict(zip(header, line))
    (row,) = read_csv(out / 'counts.csv')
    assert shown['count'] == row['count'] == str(counts['count'])
    assert shown['counted mm2'] == f'{float(row["counted_mm2"]):.2f}' == f'{counts["counted_mm2"]:.2f}'
    assert shown['remark'] == row['remark'] == '; '.join(report['remarks'])
    outside = counts['figures'] - counts['count']
    assert f'{outside} further figure{"" if outside == 1 else "s"} outside the counted tiles' in report['remarks']
    assert row['counted_area_from'] == report['counted_area']['from'] == 'region'
