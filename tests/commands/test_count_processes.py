"""Counting on whole slides by several processes, and by processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted_slides import COMMAND, Call, is_clean, lasting, read_csv, refuses, tissue_slide, written

from mitouts.inference.dense import DenseModel


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
        code, _, stderr = call(COMMAND, *arguments)
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
    from mitouts.wsi import cohort, counting

    tissue_slide(tmp_path / 'slides/a.tif', width=200, height=150)
    tissue_slide(tmp_path / 'slides/b.tif', seed=1, width=200, height=150)
    out = tmp_path / 'out'
    arguments = [tmp_path / 'slides', '--checkpoint', checkpoint, '--out', out]
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('RANK', '0')
    call(COMMAND, *arguments)
    others = next(name for name in ('a', 'b') if not (out / name).exists())
    finished = next(name for name in ('a', 'b') if name != others)
    write = cohort.write_counts

    def ends_another_slide(found: Any, folder: Path) -> Any:
        if not (out / others / 'report.json').exists():
            (out / others).mkdir(exist_ok=True)
            (out / others / 'report.json').write_bytes((out / finished / 'report.json').read_bytes())
        return write(found, folder)

    monkeypatch.setattr(counting, 'write_counts', ends_another_slide)
    call(COMMAND, *arguments)
    assert [row['status'][:8] for row in read_csv(out / 'counts.csv')] == ['excluded'] * 2


def test_tool_that_was_killed_goes_on_with_the_next_band(
    call: Call, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = tissue_slide(tmp_path / 'a.tif')
    options = [slide, '--checkpoint', checkpoint, '--tile-px', 128, '--workers', 1]
    assert call(COMMAND, *options, '--out', tmp_path / 'whole')[0] == 0
    compute, batches = DenseModel.__call__, []

    def dies(self: DenseModel, tiles: np.ndarray) -> np.ndarray:
        batches.append(len(tiles))
        if len(batches) == 20:
            raise KeyboardInterrupt
        return compute(self, tiles)

    out = tmp_path / 'out'
    monkeypatch.setattr(DenseModel, '__call__', dies)
    code, _, stderr = call(COMMAND, *options, '--out', out)
    assert (code, stderr.splitlines()[1:]) == (130, ['interrupted'])
    assert not (out / 'a/report.json').exists()
    left = batches.copy()
    batches[:] = [0] * 100
    assert call(COMMAND, *options, '--out', out, '--resume')[0] == 0
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
    assert call(COMMAND, *options, '--out', tmp_path / 'whole')[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr('mitouts.wsi.slide.read_map', _interrupt)
        assert call(COMMAND, *options, '--out', tmp_path / 'out')[0] == 130
    map_path = tmp_path / 'out/a/.work/score_map.npy'
    map_path.write_bytes(map_path.read_bytes()[:200])
    (tmp_path / 'out/a/.report.json.123.tmp').write_text('{"provenance": ')
    assert call(COMMAND, *options, '--out', tmp_path / 'out', '--resume')[0] == 0
    assert lasting(tmp_path / 'out/a') == lasting(tmp_path / 'whole/a')
    assert not list((tmp_path / 'out/a').glob('.*.tmp'))


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def start(environment: Mapping[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, '-m', 'mitouts', COMMAND, *map(str, arguments)]
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
    assert call(COMMAND, tmp_path / 'slides', '--checkpoint', checkpoint, '--out', tmp_path / 'alone')[0] == 0
    assert (out / 'counts.csv').read_text() == (tmp_path / 'alone/counts.csv').read_text()
    for name in own:
        assert lasting(out / name) == lasting(tmp_path / 'alone' / name)
