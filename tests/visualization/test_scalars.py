"""Logs of stopped and resumed runs become one history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mitouts.errors import MitoutsError
from mitouts.visualization.scalars import is_training_line, read_scalars


def train(step: int, epoch: int, loss: float) -> dict[str, Any]:
    return {'lr': 0.001, 'loss': loss, 'epoch': epoch, 'iter': step, 'step': step}


def val(epoch: int, f1: float) -> dict[str, Any]:
    return {'image/f1': f1, 'data_time': 0.1, 'step': epoch}


def write(work_dir: Path, timestamp: str, lines: list[dict[str, Any]], tail: str = '') -> None:
    path = work_dir / timestamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines) + tail)


def test_a_single_run_is_read_in_order(tmp_path):
    lines = [train(10, 1, 0.7), val(1, 0.5), train(20, 2, 0.6), val(2, 0.6)]
    write(tmp_path, '20260101_000000', lines)
    assert read_scalars(tmp_path) == [lines[0], lines[2], lines[1], lines[3]]


def test_validation_at_a_step_that_training_has_too_is_kept_apart(tmp_path):
    lines = [train(1, 1, 0.7), val(1, 0.5)]
    write(tmp_path, '20260101_000000', lines)
    assert read_scalars(tmp_path) == lines


def test_the_later_value_of_a_step_wins_after_a_resume(tmp_path):
    write(tmp_path, '20260101_000000', [train(10, 1, 0.7), val(1, 0.5), train(20, 2, 0.6), val(2, 0.1)])
    write(tmp_path, '20260102_000000', [train(20, 2, 0.55), val(2, 0.6), train(30, 3, 0.5), val(3, 0.7)])
    log = read_scalars(tmp_path)
    assert [(entry['step'], entry['loss']) for entry in log if is_training_line(entry)] == [
        (10, 0.7),
        (20, 0.55),
        (30, 0.5),
    ]
    assert [(entry['step'], entry['image/f1']) for entry in log if not is_training_line(entry)] == [
        (1, 0.5),
        (2, 0.6),
        (3, 0.7),
    ]


def test_steps_beyond_the_point_of_resumption_are_forgotten(tmp_path):
    write(
        tmp_path,
        '20260101_000000',
        [train(10, 1, 0.7), val(1, 0.5), train(20, 2, 0.6), train(25, 2, 0.59), val(2, 0.2)],
    )
    write(tmp_path, '20260102_000000', [train(18, 2, 0.5)])
    assert read_scalars(tmp_path) == [train(10, 1, 0.7), train(18, 2, 0.5), val(1, 0.5)]


def test_a_run_from_the_start_replaces_the_earlier_one(tmp_path):
    write(tmp_path, '20260101_000000', [train(10, 1, 0.7), val(1, 0.5), train(20, 2, 0.6), val(2, 0.6)])
    write(tmp_path, '20260102_000000', [train(7, 1, 0.9), val(1, 0.4)])
    assert read_scalars(tmp_path) == [train(7, 1, 0.9), val(1, 0.4)]


def test_a_validation_of_its_own_does_not_erase_the_training(tmp_path):
    write(tmp_path, '20260101_000000', [train(10, 1, 0.7), val(1, 0.5)])
    write(tmp_path, '20260102_000000', [val(0, 0.3)])
    assert read_scalars(tmp_path) == [train(10, 1, 0.7), val(0, 0.3), val(1, 0.5)]


def test_a_line_cut_off_by_a_kill_is_skipped_at_the_end_only(tmp_path):
    write(tmp_path, '20260101_000000', [train(10, 1, 0.7)], tail='{"lr": 0.0')
    write(tmp_path, '20260102_000000', [train(20, 2, 0.6)])
    assert read_scalars(tmp_path) == [train(10, 1, 0.7), train(20, 2, 0.6)]
    write(tmp_path, '20260103_000000', [], tail='{"lr": 0.0\n' + json.dumps(train(30, 3, 0.5)))
    with pytest.raises(MitoutsError, match=r'20260103_000000.*line 1 is not JSON'):
        read_scalars(tmp_path)


def test_a_line_without_step_is_named(tmp_path):
    write(tmp_path, '20260101_000000', [{'loss': 1.0}, train(10, 1, 0.7)])
    with pytest.raises(MitoutsError, match='line 1 has no "step"'):
        read_scalars(tmp_path)


def test_no_log_gives_an_empty_history(tmp_path):
    assert read_scalars(tmp_path) == []


def test_reads_what_mmengine_writes(tmp_path):
    from mmengine.visualization import LocalVisBackend

    backend = LocalVisBackend(str(tmp_path / '20260101_000000' / 'vis_data'))
    backend.add_scalars({'lr': 0.1, 'loss': 0.5, 'epoch': 1, 'iter': 10}, step=10, file_path='run.json')
    backend.add_scalars({'image/f1': 0.8}, step=1, file_path='run.json')
    assert read_scalars(tmp_path) == [
        {'lr': 0.1, 'loss': 0.5, 'epoch': 1, 'iter': 10, 'step': 10},
        {'image/f1': 0.8, 'step': 1},
    ]
