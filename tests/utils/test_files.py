from __future__ import annotations

from pathlib import Path

import pytest

from mitouts.utils.files import written_aside


def test_a_file_appears_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    with written_aside(tmp_path / 'new' / 'a.txt') as aside:
        aside.write_text('all')
        assert not (tmp_path / 'new' / 'a.txt').exists()
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.txt']


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text('old')
    with pytest.raises(FileNotFoundError), written_aside(tmp_path / 'a.txt') as aside:
        (aside / 'is no folder').write_text('ha')
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('a.txt', 'old')]
