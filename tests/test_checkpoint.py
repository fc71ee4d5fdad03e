from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mitouts.checkpoint import load_weights, publish, read_checkpoint, write_checkpoint
from mitouts.errors import CheckpointError, TrainingError


def test_written_checkpoints_read_back(tmp_path) -> None:
    checkpoint = {'meta': {'epoch': 3, 'array': np.arange(3)}, 'state_dict': nn.Linear(2, 3).state_dict()}
    write_checkpoint(tmp_path / 'a.pth', checkpoint)
    read = read_checkpoint(tmp_path / 'a.pth')
    assert read['meta']['epoch'] == 3
    assert all(torch.equal(read['state_dict'][key], value) for key, value in checkpoint['state_dict'].items())
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']


def test_full_disk_keeps_the_older_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / 'a.pth'
    write_checkpoint(path, {'state_dict': {}, 'meta': {'epoch': 1}})
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(TrainingError, match=r'No space left.*untouched.*--resume'):
        write_checkpoint(path, {'state_dict': {}, 'meta': {'epoch': 2}})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.pth']


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path('owned'),))


def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {}, 'meta': {'x': Evil()}}, 'evil.pth')
    with pytest.raises(CheckpointError, match='never unpickled'):
        read_checkpoint('evil.pth')
    assert not Path('owned').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint'])
def test_broken_files_are_checkpoint_errors(tmp_path, content: bytes) -> None:
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match='cannot be read'):
        read_checkpoint(tmp_path / 'a.pth')


def test_missing_file_and_missing_state(tmp_path) -> None:
    with pytest.raises(CheckpointError, match='does not exist'):
        read_checkpoint(tmp_path / 'none.pth')
    torch.save({'weights': {}}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match='state_dict'):
        read_checkpoint(tmp_path / 'a.pth')


def test_weights_of_another_network_are_named() -> None:
    with pytest.raises(CheckpointError, match=r'2 of 2 entries differ.*weight is \(3, 2\) instead of \(4, 2\)'):
        load_weights(nn.Linear(2, 4), nn.Linear(2, 3).state_dict(), 'a.pth')
    with pytest.raises(CheckpointError, match=r'bias is missing'):
        load_weights(nn.Linear(2, 4), nn.Linear(2, 4, bias=False).state_dict(), 'a.pth')


def test_published_checkpoint_is_plain(tmp_path) -> None:
    meta = {'mitouts': {'map_threshold': np.float64(0.5), 'classes': ('mitotic figure',)}, 'epoch': 2, 'cfg': 'a = 1'}
    published = publish({'meta': meta, 'state_dict': nn.Linear(1, 1).state_dict(), 'optimizer': {}, 'message_hub': {}})
    torch.save(published, tmp_path / 'a.pth')
    read = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert set(read) == {'meta', 'state_dict'}
    assert read['meta']['mitouts'] == {'map_threshold': 0.5, 'classes': ['mitotic figure']}
    assert type(read['meta']['mitouts']['map_threshold']) is float


def test_a_model_without_thresholds_is_not_published() -> None:
    with pytest.raises(CheckpointError, match='no thresholds'):
        publish({'meta': {'epoch': 1}, 'state_dict': {}})


def test_a_calibration_that_is_no_dict_is_refused(tmp_path) -> None:
    torch.save({'state_dict': {}, 'meta': {'mitouts': 5}}, tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r"expected a dict as meta\['mitouts'\], found 5"):
        read_checkpoint(tmp_path / 'a.pth')
