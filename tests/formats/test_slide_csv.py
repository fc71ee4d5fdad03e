"""Tables as other readers see them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from mitouts.formats.slide_csv import write_table
from mitouts.formats.tables import read_table


@pytest.mark.parametrize('text', ['a#1', '#', 'a,b', 'a "b"', 'two\nlines', '', 'ü', "'", ' a ', 'a;b'])
def test_text_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    path = tmp_path / 't.csv'
    write_table(path, ['slide', 'number'], [[text, 1.5], ['z', None]])
    assert list(csv.reader(io.StringIO(path.read_text(encoding='utf-8')))) == [
        ['slide', 'number'],
        [text, '1.5'],
        ['z', ''],
    ]
    table = read_table(path)
    assert [row[0] for row in table.rows] == [text.strip(), 'z']


def test_a_comment_sign_is_text_between_quotes_only(tmp_path: Path) -> None:
    write_table(tmp_path / 't.csv', ['slide', 'block #'], [['#1.tif', 'a "#" b'], ['2.tif', '']])
    assert (tmp_path / 't.csv').read_text() == 'slide,"block #"\n"#1.tif","a ""#"" b"\n2.tif,\n'
